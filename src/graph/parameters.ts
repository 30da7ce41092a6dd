/**
 * The parameters of a model: one table of names and shapes, from which one block of memory is laid out.
 * Parameters with two dimensions come first, then those with one: weight decay then touches one contiguous piece.
 */
import { ConfigError } from '../errors.ts';
import { type Encoding, encodedBytes } from './encoding.ts';
import type { Region, Tensor } from './tensor.ts';

/** How a parameter starts: a constant, or a normal distribution with this standard deviation around 0. */
export type Initializer =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number };

export interface ParameterSpec {
  /** The name it has in files. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Where new models start. */
  readonly init: Initializer;
  /** Kind of the layer that it belongs to, for the summary: `Linear`, `LayerNorm`. */
  readonly layer?: string;
  /** How products read it: x · W with W [in, out], or x · Wᵀ with W [out, in]. Absent for parameters that no product reads. */
  readonly product?: 'in-out' | 'out-in';
}

export interface Parameter extends ParameterSpec {
  /** Elements. */
  readonly size: number;
  /** Bytes in memory. */
  readonly bytes: number;
  /** First element, counted in f32 from the start of the block. */
  readonly offset: number;
  /** How the values lie in memory: `f32` is row after row. */
  readonly encoding: Encoding;
}

/** Inputs (k) and outputs (n) of a parameter that products read. */
export function productSize({ shape, product }: ParameterSpec): { inputs: number; outputs: number } {
  const [rows, cols] = shape as [number, number];
  return product === 'out-in' ? { inputs: cols, outputs: rows } : { inputs: rows, outputs: cols };
}

export class ParameterTable {
  /** In the order of the specification, which is the order of the forward pass. */
  readonly list: readonly Parameter[];
  /** f32 elements that the block has room for, with the padding that aligns each parameter to 64 bytes. */
  readonly blockSize: number;
  /** Elements at the start of the block that belong to parameters with two or more dimensions. */
  readonly decayedSize: number;
  readonly #byName: ReadonlyMap<string, Parameter>;

  /** How parameters that products read lie in memory; all others are f32. */
  readonly encoding: Encoding;

  /** @param encoding of the parameters that products read. Default `f32`, the only one that can be trained */
  constructor(specs: readonly ParameterSpec[], encoding: Encoding = 'f32') {
    this.encoding = encoding;
    let top = 0;
    const place = (spec: ParameterSpec): Parameter => {
      const size = spec.shape.reduce((product, extent) => product * extent, 1);
      const own = spec.product ? encoding : 'f32';
      const { inputs, outputs } = productSize(spec);
      const bytes = own === 'f32' ? size * 4 : encodedBytes(own, inputs, outputs);
      const parameter = { ...spec, size, bytes, offset: top, encoding: own };
      top += Math.ceil(bytes / 64) * 16;
      return parameter;
    };
    const placed = new Map<ParameterSpec, Parameter>();
    for (const spec of specs) if (spec.shape.length > 1) placed.set(spec, place(spec));
    this.decayedSize = top;
    for (const spec of specs) if (spec.shape.length <= 1) placed.set(spec, place(spec));
    this.blockSize = top;
    this.list = specs.map((spec) => placed.get(spec)!);
    this.#byName = new Map(this.list.map((parameter) => [parameter.name, parameter]));
    if (this.#byName.size !== specs.length)
      throw new ConfigError('parameters: expected distinct names, got a repeated one.');
  }

  /** Number of trainable values. */
  get count(): number {
    return this.list.reduce((sum, { size }) => sum + size, 0);
  }

  get(name: string): Parameter {
    const parameter = this.#byName.get(name);
    if (!parameter) throw new ConfigError(`parameters: expected a parameter of this model, got '${name}'.`);
    return parameter;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** A parameter (or its gradient, or its moment: whatever `block` holds) as a tensor. */
  tensor(block: Region, name: string): Tensor {
    const { shape, offset, encoding } = this.get(name);
    const [rows, cols] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
    return {
      label: name,
      rows,
      cols,
      storage: block,
      byteOffset: offset * 4,
      encoding,
      requiresGrad: encoding === 'f32',
    };
  }
}
