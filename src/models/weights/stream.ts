/** From files into a block of parameters. */
import type { Quantization, Weights } from '../../formats/index.ts';
import type { TensorNames } from '../family.ts';
import { matchTensors } from '../match-tensors.ts';
import { type ParameterBlock, tensorsInFile } from './parameter-block.ts';

/**
 * Reads a model's tensors from files into its block: side by side where files hold them as memory does and the host can, else one
 * after the other, in the order of the files.
 * @param quantization of the files; the block then has the same encoding
 * @throws CheckpointError when a tensor is missing, of another shape, or damaged
 */
export async function streamWeights(
  block: ParameterBlock,
  weights: Weights,
  names: TensorNames,
  quantization: Quantization | undefined,
): Promise<void> {
  const wanted = quantization ? tensorsInFile(block.table) : block.table.list;
  const { found } = matchTensors(weights, wanted, names);
  const order = new Map(weights.names.map((name, index) => [name, index]));
  const inFileOrder = [...found].sort((a, b) => order.get(a[1])! - order.get(b[1])!);
  const stored = quantization !== undefined;
  const places = inFileOrder.map(([name, nameInFile]) => {
    return [nameInFile, block.place(name, weights.info(nameInFile).dtype, stored)] as const;
  });
  // A place is empty when the memory has grown meanwhile.
  if (places.every(isGiven) && (await weights.readAll(places)) && places.every(([, { length }]) => length > 0)) return;
  for (const [name, nameInFile] of inFileOrder) await block.load(name, weights, nameInFile, stored);
}

function isGiven<T>(entry: readonly [string, T | undefined]): entry is readonly [string, T] {
  return entry[1] !== undefined;
}
