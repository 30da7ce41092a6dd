/**
 * GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3): a decoder-only transformer
 * with layer norm in front of each sub-block, one more after the last block, and residual projections that start
 * smaller by 1/√(2·nLayer). Token embedding and output layer share their weights.
 */
import { ConfigError } from '../errors.ts';
import { completeGPTConfig, type GPTConfig, type GPTOptions, gpt2Tensors } from '../formats/index.ts';
import type { Graph } from '../graph/graph.ts';
import { add } from '../graph/ops/elementwise.ts';
import { embedding } from '../graph/ops/embedding.ts';
import type { ParameterSpec } from '../graph/parameters.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop, feedForward, norm, selfAttention } from '../nn/layers.ts';
import type { RowInputs } from '../nn/rows.ts';
import { type CreateOptions, GPT, productOf } from './gpt.ts';

/** The four published sizes, by their numbers of parameters. */
export const GPT2_SIZES = {
  '124M': { nLayer: 12, nHead: 12, nEmbd: 768 },
  '355M': { nLayer: 24, nHead: 16, nEmbd: 1024 },
  '774M': { nLayer: 36, nHead: 20, nEmbd: 1280 },
  '1.5B': { nLayer: 48, nHead: 25, nEmbd: 1600 },
} as const;

export type GPT2Size = keyof typeof GPT2_SIZES;

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
  static create({
    size,
    seed,
    threads,
    precision,
    ...options
  }: GPTOptions & CreateOptions & { size?: GPT2Size } = {}): Promise<GPT2> {
    if (size !== undefined && !Object.hasOwn(GPT2_SIZES, size))
      throw new ConfigError(
        `GPT2.create: expected size to be one of ${Object.keys(GPT2_SIZES).join(', ')}, got ${JSON.stringify(size)}.`,
      );
    const config = completeGPTConfig({ ...(size && GPT2_SIZES[size]), ...options }, 'GPT2.create');
    return import('./create.ts').then(({ createGPT }) => createGPT(GPT2, config, { seed, threads, precision }));
  }

  static parameters(config: GPTConfig): ParameterSpec[] {
    const residualStd = config.initializerRange / Math.sqrt(2 * config.nLayer);
    return gpt2Tensors(config).map(({ name, shape }) => {
      if (name.endsWith('.bias')) return { name, shape, init: { kind: 'constant', value: 0 } };
      if (/\.ln_(1|2|f)\.weight$/.test(name)) return { name, shape, init: { kind: 'constant', value: 1 } };
      const std = name.endsWith('.c_proj.weight') ? residualStd : config.initializerRange;
      return { name, shape, init: { kind: 'normal', std }, ...productOf(name, 'transformer.wte.weight') };
    });
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
