/** What training minimises. */
export { causalLanguageModel } from './causal-language-model.ts';
export type { LossProgram, Objective, TrainableModel } from './objective.ts';
