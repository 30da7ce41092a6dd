/** The tensors of one layer, of either family. */
import type { TensorShape } from '../tensor-names.ts';

/** A weight and its bias: those of a linear layer, stored [in, out], or of a layer norm where `inputs` is left out. */
export function layerTensors(name: string, outputs: number, ...inputs: number[]): TensorShape[] {
  return [
    { name: `transformer.${name}.weight`, shape: [...inputs, outputs] },
    { name: `transformer.${name}.bias`, shape: [outputs] },
  ];
}
