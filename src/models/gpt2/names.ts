/** How checkpoints name GPT-2's tensors: as GPT-1's, but for the token table. */
import type { TensorNames } from '../family.ts';
import { GPT1_NAMES } from '../gpt1/names.ts';

export const GPT2_NAMES: TensorNames = { ...GPT1_NAMES, aliases: { 'transformer.wte.weight': ['lm_head.weight'] } };
