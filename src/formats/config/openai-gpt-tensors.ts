/** The tensors of GPT-1 (huggingface/transformers `models/openai/modeling_openai.py`, 5.17). */
import type { TensorShape } from '../tensor-names.ts';
import type { GPTConfig } from './gpt-config.ts';
import { layerTensors } from './layer-tensors.ts';

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
  for (let block = 0; block < nLayer; block++) {
    const at = `h.${block}`;
    tensors.push(
      ...layerTensors(`${at}.attn.c_attn`, 3 * nEmbd, nEmbd),
      ...layerTensors(`${at}.attn.c_proj`, nEmbd, nEmbd),
      ...layerTensors(`${at}.ln_1`, nEmbd),
      ...layerTensors(`${at}.mlp.c_fc`, 4 * nEmbd, nEmbd),
      ...layerTensors(`${at}.mlp.c_proj`, nEmbd, 4 * nEmbd),
      ...layerTensors(`${at}.ln_2`, nEmbd),
    );
  }
  return tensors;
}
