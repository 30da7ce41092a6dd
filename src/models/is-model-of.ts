/** Narrowing a model to a family. */
import type { Model } from './model.ts';
import { type ConfigOf, type FamilyName, familyNameOf, type HeadOf } from './registry.ts';

/**
 * Whether a model is of a family of this package: in TypeScript its `config` then has that family's options.
 * @param model any model
 * @param name the family: `gpt2`, `gpt1`
 * @returns whether it is
 * @example
 * const model = await loadCausalLM('./gpt2');
 * if (isModelOf(model, 'gpt2')) console.log(model.config.nLayer);
 */
export function isModelOf<N extends FamilyName>(model: Model, name: N): model is Model<HeadOf<N>, ConfigOf<N>> {
  return familyNameOf(model.family.modelType) === name;
}
