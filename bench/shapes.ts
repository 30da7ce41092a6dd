/** The matrix products of a GPT by the role they play: C[m, n] = op(A)[m, k] · op(B)[k, n]. */

export interface GemmShape {
  name: string;
  m: number;
  n: number;
  k: number;
  /** A is stored [k, m]. */
  transposeA?: boolean;
  /** B is stored [n, k]. */
  transposeB?: boolean;
  bias?: boolean;
  accumulate?: boolean;
}

/** A linear layer: inp[rows, inputs] · weight[inputs, outputs] + bias. */
interface Layer {
  name: string;
  inputs: number;
  outputs: number;
}

/** The layers of one block, `width` channels wide. */
function blockLayers(width: number): Layer[] {
  return [
    { name: 'qkv', inputs: width, outputs: 3 * width },
    { name: 'attnProj', inputs: width, outputs: width },
    { name: 'mlpUp', inputs: width, outputs: 4 * width },
    { name: 'mlpDown', inputs: 4 * width, outputs: width },
  ];
}

/** Forward pass: out = inp · weight + bias. */
function forward({ name, inputs, outputs }: Layer, rows: number): GemmShape {
  return { name: `${name} forward`, m: rows, n: outputs, k: inputs, bias: true };
}

/** Backward pass: dinp = dout · weightᵀ and dweight += inpᵀ · dout. */
function backward({ name, inputs, outputs }: Layer, rows: number): GemmShape[] {
  return [
    { name: `${name} dinp`, m: rows, n: inputs, k: outputs, transposeB: true },
    { name: `${name} dweight`, m: inputs, n: outputs, k: rows, transposeA: true, accumulate: true },
  ];
}

/** The head shares its weight [vocabulary, width] with the embedding. */
function head(rows: number, vocabulary: number, width: number): GemmShape[] {
  return [
    { name: 'logits forward', m: rows, n: vocabulary, k: width, transposeB: true },
    { name: 'logits dinp', m: rows, n: width, k: vocabulary },
    { name: 'logits dweight', m: vocabulary, n: width, k: rows, transposeA: true, accumulate: true },
  ];
}

function named(suffix: string, shapes: GemmShape[]): GemmShape[] {
  return shapes.map((shape) => ({ ...shape, name: `${shape.name} ${suffix}` }));
}

function training(suffix: string, width: number, rows: number): GemmShape[] {
  return named(
    suffix,
    blockLayers(width).flatMap((layer) => [forward(layer, rows), ...backward(layer, rows)]),
  );
}

/** GPT-2 124M, 1,024 rows at a time; a chunk of the logits. */
export const GPT2_TRAINING = training('gpt2', 768, 1024);
export const GPT2_HEAD = named('gpt2', head(64, 50257, 768));
/** GPT-2 124M reading a prompt of 512 tokens. */
export const GPT2_PREFILL = named(
  'prefill',
  blockLayers(768).map((layer) => forward(layer, 512)),
);
/** Six layers, 384 wide, sequences of 256. */
export const SMALL_TRAINING = training('small', 384, 256);
/** Next to 384 wide and 256 rows, and to 768 wide and 512 rows; nothing is divided by a tile. */
export const ODD_TRAINING = training('odd', 381, 253);
export const ODD_PREFILL = named(
  'odd prefill',
  blockLayers(765).map((layer) => forward(layer, 509)),
);
/** GPT-2 124M, one token of each of `sequences` sequences. */
export function decode(sequences: number): GemmShape[] {
  const shapes = [
    ...blockLayers(768).map((layer) => forward(layer, sequences)),
    { name: 'logits forward', m: sequences, n: 50257, k: 768, transposeB: true },
  ];
  return named('decode', shapes);
}
