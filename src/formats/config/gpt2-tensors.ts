/** The tensors of GPT-2 (huggingface/transformers `models/gpt2/modeling_gpt2.py`, 5.17). */
import type { TensorShape } from '../tensor-names.ts';
import type { GPTConfig } from './gpt-config.ts';

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
  /** A weight and its bias: those of a linear layer, or of a layer norm where `inputs` is left out. */
  const layer = (name: string, outputs: number, ...inputs: number[]) =>
    tensors.push(
      { name: `transformer.${name}.weight`, shape: [...inputs, outputs] },
      { name: `transformer.${name}.bias`, shape: [outputs] },
    );
  for (let block = 0; block < nLayer; block++) {
    const at = `h.${block}`;
    layer(`${at}.ln_1`, nEmbd);
    layer(`${at}.attn.c_attn`, 3 * nEmbd, nEmbd);
    layer(`${at}.attn.c_proj`, nEmbd, nEmbd);
    layer(`${at}.ln_2`, nEmbd);
    layer(`${at}.mlp.c_fc`, nInner, nEmbd);
    layer(`${at}.mlp.c_proj`, nEmbd, nInner);
  }
  layer('ln_f', nEmbd);
  return tensors;
}
