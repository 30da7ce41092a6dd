/**
 * Which tensor of a checkpoint is meant. Names are Hugging Face's; checkpoints differ in three ways:
 * the base model is saved without `transformer.` (the original gpt2), a tied matrix is saved under its other name
 * (`OpenAIGPTDoubleHeadsModel` keeps only `lm_head.weight`), and old ones carry masks and positions as tensors.
 */

/** A tensor that a model has. */
export interface TensorShape {
  /** Hugging Face's name, with `transformer.` where the full model has it. */
  readonly name: string;
  readonly shape: readonly number[];
}

const PREFIX = 'transformer.';
export const TIED_NAME = 'lm_head.weight';
/** Token embeddings, which are also the output layer. */
export const EMBEDDINGS = new Set(['transformer.wte.weight', 'transformer.tokens_embed.weight']);

/**
 * Finds the name under which a checkpoint holds a tensor.
 * @param names what the checkpoint has: anything with `has`.
 * @param wanted Hugging Face's full name, such as `transformer.h.0.attn.c_attn.weight`.
 * @returns the name as it stands there; undefined when it is missing.
 */
export function resolveTensorName(names: { has(name: string): boolean }, wanted: string): string | undefined {
  if (names.has(wanted)) return wanted;
  if (wanted.startsWith(PREFIX) && names.has(wanted.slice(PREFIX.length))) return wanted.slice(PREFIX.length);
  if (EMBEDDINGS.has(wanted) && names.has(TIED_NAME)) return TIED_NAME;
  return undefined;
}

/** What matching needs to know of the weights. */
export interface ShapedNames {
  readonly names: readonly string[];
  info(name: string): { readonly shape: readonly number[]; readonly file: string };
}

/** Whether two shapes are the same. */
export function isShape(found: readonly number[], shape: readonly number[]): boolean {
  return found.length === shape.length && shape.every((size, i) => found[i] === size);
}

/** The names of a model's tensors in its weights; undefined unless all are there in the right shapes. */
export function matchTensors(weights: ShapedNames, wanted: readonly TensorShape[]): Map<string, string> | undefined {
  const present = new Set(weights.names);
  const found = new Map<string, string>();
  for (const { name, shape } of wanted) {
    const there = resolveTensorName(present, name);
    if (there === undefined || !isShape(weights.info(there).shape, shape)) return undefined;
    found.set(name, there);
  }
  return found;
}
