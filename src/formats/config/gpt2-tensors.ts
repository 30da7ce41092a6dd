/** The tensors of GPT-2 (huggingface/transformers `models/gpt2/modeling_gpt2.py`, 5.17). */
import type { TensorShape } from '../tensor-names.ts';
import type { GPTConfig } from './gpt-config.ts';
import { layerTensors } from './layer-tensors.ts';

/**
 * Names and shapes of a GPT-2's tensors, as transformers' `GPT2LMHeadModel` saves them.
 * The weights of linear layers are stored [in, out].
 * @param config the configuration.
 * @returns the tensors from input to output; the output layer is `transformer.wte.weight` again and not listed.
 */
export function gpt2Tensors(config: GPTConfig): TensorShape[] {
  const { vocabSize, blockSize, nLayer, nEmbd, nInner } = config;
  const tensors: TensorShape[] = [
    { name: 'transformer.wte.weight', shape: [vocabSize, nEmbd] },
    { name: 'transformer.wpe.weight', shape: [blockSize, nEmbd] },
  ];
  for (let block = 0; block < nLayer; block++) {
    const at = `h.${block}`;
    tensors.push(
      ...layerTensors(`${at}.ln_1`, nEmbd),
      ...layerTensors(`${at}.attn.c_attn`, 3 * nEmbd, nEmbd),
      ...layerTensors(`${at}.attn.c_proj`, nEmbd, nEmbd),
      ...layerTensors(`${at}.ln_2`, nEmbd),
      ...layerTensors(`${at}.mlp.c_fc`, nInner, nEmbd),
      ...layerTensors(`${at}.mlp.c_proj`, nEmbd, nInner),
    );
  }
  tensors.push(...layerTensors('ln_f', nEmbd));
  return tensors;
}
