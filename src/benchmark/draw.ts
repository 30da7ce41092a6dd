/** Folders of models with random weights: any size, a piece at a time. */
import type { Directory } from '../files/index.ts';
import { convertFromF32, type FloatDtype, saveWeights } from '../formats/index.ts';
import { blueprint, formatConfig, type ParsedConfig } from '../models/index.ts';

/** How many numbers are repeated to fill tensors: odd, so that rows differ. */
const NUMBERS = (1 << 20) - 3;

/**
 * Writes config.json and the weights of a model. What starts from 1 is 1; all else is noise, evenly spread over ±0.035,
 * whose standard deviation is that of new weights. The same for the same config on every machine.
 * @param dtype of the tensors in the file
 */
export async function drawFolder(
  directory: Directory,
  { family, config }: ParsedConfig,
  dtype: FloatDtype,
): Promise<void> {
  const noise = new Float32Array(NUMBERS);
  let state = 1;
  for (let i = 0; i < NUMBERS; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0; // a linear congruence, of which the high bits are good
    noise[i] = ((state >> 8) / 2 ** 23) * 0.035;
  }
  const pieces = {
    noise: convertFromF32(dtype, noise),
    ones: convertFromF32(dtype, new Float32Array(NUMBERS).fill(1)),
  };
  function* chunks(piece: Uint8Array, bytes: number): Generator<Uint8Array> {
    for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
  }
  const bytesEach = pieces.ones.length / NUMBERS;
  const entries = blueprint(family, config).parameters.list.map(({ name, shape, init }) => {
    const bytes = shape.reduce((product, extent) => product * extent, bytesEach);
    const piece = init.kind === 'constant' && init.value === 1 ? pieces.ones : pieces.noise;
    return { name, dtype, shape, chunks: () => chunks(piece, bytes) };
  });
  await saveWeights(directory, entries);
  await directory.write('config.json', formatConfig(family, config));
}
