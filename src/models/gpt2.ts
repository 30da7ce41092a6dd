/**
 * GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3): a decoder-only transformer
 * with layer norm in front of each sub-block and one more after the last block. Token embedding and output layer share their
 * weights. New weights: create-gpt2.ts.
 */
import { type GPTConfig, gpt2Tensors } from '../formats/index.ts';
import type { Graph } from '../graph/graph.ts';
import { add } from '../graph/ops/elementwise.ts';
import { embedding } from '../graph/ops/embedding.ts';
import type { ParameterSpec } from '../graph/parameters.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop, feedForward, norm, selfAttention } from '../nn/layers.ts';
import type { RowInputs } from '../nn/rows.ts';
import type { CreateGPT2Options } from './create-gpt2.ts';
import { GPT, productOf } from './gpt.ts';

export class GPT2 extends GPT {
  readonly family = 'gpt2';
  readonly headTable = 'transformer.wte.weight';

  /**
   * Makes a model of new weights.
   * @param options any of GPTConfig (defaults: GPT-2 124M, dropout 0.1), or `size` for a published one; `seed`
   * (0…2^53 − 1, default 0) draws the weights; `threads` and `precision` as for `loadModel`
   * @throws ConfigError for an option out of range; MemoryError when 4 GiB do not hold the weights
   * @example
   * const model = await GPT2.create({ nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 256, seed: 1 });
   */
  static async create(options: CreateGPT2Options = {}): Promise<GPT2> {
    const { createGPT2 } = await import('./create-gpt2.ts'); // which programs that only load models never need
    return createGPT2(options);
  }

  static parameters(config: GPTConfig): ParameterSpec[] {
    return gpt2Tensors(config).map((tensor) => ({ ...tensor, ...productOf(tensor.name, 'transformer.wte.weight') }));
  }

  override forward(graph: Graph, inputs: RowInputs): Tensor[] {
    const { nLayer, layerNormEpsilon, embdDropout } = this.config;
    const tokenTable = graph.parameter('transformer.wte.weight'); // [V, C]
    const positionTable = graph.parameter('transformer.wpe.weight'); // [T, C]
    let x = embedding(
      graph,
      'transformer.embedding',
      inputs.rows,
      inputs.tokens,
      inputs.positions,
      tokenTable,
      positionTable,
    );
    x = drop(graph, 'transformer.drop', x, embdDropout, inputs);
    const hidden = [x];
    for (let layer = 0; layer < nLayer; layer++) {
      const at = `transformer.h.${layer}`;
      const attended = selfAttention(
        graph,
        `${at}.attn`,
        norm(graph, `${at}.ln_1`, x, layerNormEpsilon),
        inputs,
        layer,
        this.config,
      );
      x = add(graph, `${at}.attn.residual`, x, attended);
      const fed = feedForward(graph, `${at}.mlp`, norm(graph, `${at}.ln_2`, x, layerNormEpsilon), inputs, this.config);
      x = add(graph, `${at}.mlp.residual`, x, fed);
      hidden.push(x);
    }
    hidden[nLayer] = this.beforeHead(graph, x);
    return hidden;
  }

  override beforeHead(graph: Graph, state: Tensor): Tensor {
    return norm(graph, 'transformer.ln_f', state, this.config.layerNormEpsilon);
  }
}
