/**
 * GPT-1 (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", §3.1 and §4.1):
 * a decoder-only transformer as in Liu et al. 2018, with layer norm behind each residual sum (post-LN), weights from
 * N(0, 0.02), and no layer norm at the end.
 */
import { type GPTConfig, type GPTOptions, openAIGPTTensors } from '../formats/index.ts';
import type { Graph } from '../graph/graph.ts';
import { add } from '../graph/ops/elementwise.ts';
import { embedding } from '../graph/ops/embedding.ts';
import type { ParameterSpec } from '../graph/parameters.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop, feedForward, norm, selfAttention } from '../nn/layers.ts';
import type { RowInputs } from '../nn/rows.ts';
import { type CreateOptions, GPT, productOf } from './gpt.ts';

/** The published model: 117M parameters. */
export const GPT1_SIZES = {
  '117M': { nLayer: 12, nHead: 12, nEmbd: 768, blockSize: 512, vocabSize: 40478 },
} as const;

export class GPT1 extends GPT {
  readonly family = 'openai-gpt';
  readonly headTable = 'transformer.tokens_embed.weight';

  /**
   * Makes a model of new weights.
   * @param options any of GPTConfig (defaults: the published 117M, dropout 0.1); `seed` (0…2^53 − 1, default 0) draws
   * the weights; `threads` and `precision` as for `loadModel`
   * @throws ConfigError for an option out of range; MemoryError when 4 GiB do not hold the weights
   * @example
   * const model = await GPT1.create({ nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 256, seed: 1 });
   */
  static async create({ seed, threads, precision, ...options }: GPTOptions & CreateOptions = {}): Promise<GPT1> {
    const { createGPT } = await import('./create.ts');
    const { completeGPTConfig } = await import('../formats/config/gpt-options.ts');
    const config = completeGPTConfig({ ...GPT1_SIZES['117M'], ...options }, 'GPT1.create');
    return createGPT(GPT1, config, () => config.initializerRange, { seed, threads, precision });
  }

  static parameters(config: GPTConfig): ParameterSpec[] {
    const table = 'transformer.tokens_embed.weight';
    return openAIGPTTensors(config).map((tensor) => ({ ...tensor, ...productOf(tensor.name, table) }));
  }

  override forward(graph: Graph, inputs: RowInputs): Tensor[] {
    const { nLayer, layerNormEpsilon, embdDropout } = this.config;
    const tokenTable = graph.parameter('transformer.tokens_embed.weight'); // [V, C]
    const positionTable = graph.parameter('transformer.positions_embed.weight'); // [T, C]
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
      const attended = selfAttention(graph, `${at}.attn`, x, inputs, layer, this.config);
      x = norm(graph, `${at}.ln_1`, add(graph, `${at}.attn.residual`, x, attended), layerNormEpsilon);
      const fed = feedForward(graph, `${at}.mlp`, x, inputs, this.config);
      x = norm(graph, `${at}.ln_2`, add(graph, `${at}.mlp.residual`, x, fed), layerNormEpsilon);
      hidden.push(x);
    }
    return hidden;
  }

  override beforeHead(_graph: Graph, state: Tensor): Tensor {
    return state;
  }
}
