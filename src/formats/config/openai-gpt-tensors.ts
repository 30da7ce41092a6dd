/** The tensors of GPT-1 (huggingface/transformers `models/openai/modeling_openai.py`, 5.17). */
import type { TensorShape } from '../tensor-names.ts';
import type { GPTConfig } from './gpt-config.ts';

/**
 * Names and shapes of a GPT-1's tensors, as transformers' `OpenAIGPTLMHeadModel` saves them.
 * The weights of linear layers are stored [in, out].
 * @param config the configuration.
 * @returns the tensors from input to output; the output layer is the token embedding again and not listed.
 */
export function openAIGPTTensors(config: GPTConfig): TensorShape[] {
  const { vocabSize, blockSize, nLayer, nEmbd } = config;
  const tensors: TensorShape[] = [
    { name: 'transformer.tokens_embed.weight', shape: [vocabSize, nEmbd] },
    { name: 'transformer.positions_embed.weight', shape: [blockSize, nEmbd] },
  ];
  for (let layer = 0; layer < nLayer; layer++) {
    const at = `transformer.h.${layer}`;
    tensors.push(
      { name: `${at}.attn.c_attn.weight`, shape: [nEmbd, 3 * nEmbd] },
      { name: `${at}.attn.c_attn.bias`, shape: [3 * nEmbd] },
      { name: `${at}.attn.c_proj.weight`, shape: [nEmbd, nEmbd] },
      { name: `${at}.attn.c_proj.bias`, shape: [nEmbd] },
      { name: `${at}.ln_1.weight`, shape: [nEmbd] },
      { name: `${at}.ln_1.bias`, shape: [nEmbd] },
      { name: `${at}.mlp.c_fc.weight`, shape: [nEmbd, 4 * nEmbd] },
      { name: `${at}.mlp.c_fc.bias`, shape: [4 * nEmbd] },
      { name: `${at}.mlp.c_proj.weight`, shape: [4 * nEmbd, nEmbd] },
      { name: `${at}.mlp.c_proj.bias`, shape: [nEmbd] },
      { name: `${at}.ln_2.weight`, shape: [nEmbd] },
      { name: `${at}.ln_2.bias`, shape: [nEmbd] },
    );
  }
  return tensors;
}
