/**
 * GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", §2.3): a decoder-only transformer
 * with layer norm before each sub-layer and one more after the last block. New weights come from N(0, 0.02), those of residual
 * projections smaller by 1/√(2·nLayer).
 */
import type { Graph } from '../../graph/graph.ts';
import { add } from '../../graph/ops/elementwise.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { SelfAttention } from '../../nn/attention.ts';
import { drop } from '../../nn/dropout.ts';
import { Embedding, embedTokens } from '../../nn/embedding.ts';
import type { FeedForward } from '../../nn/feed-forward.ts';
import { LayerNorm } from '../../nn/norms.ts';
import type { RowInputs } from '../../nn/rows.ts';
import { normal, type Scope } from '../../nn/scope.ts';
import type { Body, CacheShape } from '../family.ts';
import { gptAttention, gptFeedForward } from '../gpt1/layers.ts';
import type { GPTConfig } from '../gpt1/options.ts';

export class GPT2Body implements Body {
  readonly width: number;
  readonly cache: CacheShape;
  readonly tokens: Embedding;
  readonly #scope: Scope;
  readonly #config: GPTConfig;
  readonly #positions: Embedding;
  readonly #blocks: readonly Block[];
  readonly #lastNorm: LayerNorm;

  constructor(scope: Scope, config: GPTConfig) {
    const { vocabSize, blockSize, nLayer, nHead, nEmbd: width, layerNormEpsilon, initializerRange } = config;
    const init = normal(initializerRange);
    this.width = width;
    this.cache = { layers: nLayer, keyValueHeads: nHead, headSize: width / nHead };
    this.#scope = scope;
    this.#config = config;
    this.tokens = new Embedding(scope.at('wte'), { count: vocabSize, width, init, tied: true });
    this.#positions = new Embedding(scope.at('wpe'), { count: blockSize, width, init });
    this.#blocks = Array.from({ length: nLayer }, (_, layer) => new Block(scope.at(`h.${layer}`), config));
    this.#lastNorm = new LayerNorm(scope.at('ln_f'), width, layerNormEpsilon);
  }

  record(graph: Graph, inputs: RowInputs): Tensor[] {
    let x = embedTokens(graph, this.#scope.at('embedding').path, inputs, this.tokens, this.#positions); // [rows, nEmbd]
    x = drop(graph, this.#scope.at('drop').path, x, this.#config.embdDropout, inputs);
    const states = [x];
    for (const [layer, block] of this.#blocks.entries()) {
      x = block.record(graph, x, inputs, layer);
      states.push(x);
    }
    states[states.length - 1] = this.finish(graph, x);
    return states;
  }

  /** The last layer norm. */
  finish(graph: Graph, state: Tensor): Tensor {
    return this.#lastNorm.record(graph, state);
  }
}

/** x ← x + attention(LN(x)), x ← x + mlp(LN(x)). */
class Block {
  readonly #path: string;
  readonly #norm1: LayerNorm;
  readonly #attention: SelfAttention;
  readonly #norm2: LayerNorm;
  readonly #mlp: FeedForward;

  constructor(scope: Scope, config: GPTConfig) {
    const { nEmbd, nLayer, layerNormEpsilon, initializerRange } = config;
    const init = { inner: normal(initializerRange), residual: normal(initializerRange / Math.sqrt(2 * nLayer)) };
    this.#path = scope.path;
    this.#norm1 = new LayerNorm(scope.at('ln_1'), nEmbd, layerNormEpsilon);
    this.#attention = gptAttention(scope.at('attn'), config, init);
    this.#norm2 = new LayerNorm(scope.at('ln_2'), nEmbd, layerNormEpsilon);
    this.#mlp = gptFeedForward(scope.at('mlp'), config, init);
  }

  record(graph: Graph, x: Tensor, inputs: RowInputs, layer: number): Tensor {
    const attended = this.#attention.record(graph, this.#norm1.record(graph, x), inputs, layer);
    x = add(graph, `${this.#path}.attn.residual`, x, attended);
    const fed = this.#mlp.record(graph, this.#norm2.record(graph, x), inputs);
    return add(graph, `${this.#path}.mlp.residual`, x, fed);
  }
}
