/** How checkpoints name GPT-1's tensors. */
import type { TensorNames } from '../family.ts';

export const GPT1_NAMES: TensorNames = {
  prefix: 'transformer.',
  // The table is tied; `OpenAIGPTDoubleHeadsModel` saves it under this name alone.
  aliases: { 'transformer.tokens_embed.weight': ['lm_head.weight'] },
  // Old files store causal masks, and the numbers 0, 1, 2 …
  buffers: /^(transformer\.)?(h\.\d+\.attn\.(bias|masked_bias)|position_ids)$/,
};
