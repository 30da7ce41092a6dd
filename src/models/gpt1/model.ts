/**
 * GPT-1 (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", §3.1 and §4.1):
 * a decoder-only transformer as in Liu et al. 2018, with layer norm after each residual sum (post-LN), weights from
 * N(0, 0.02), and no layer norm at the end.
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
import { gptAttention, gptFeedForward } from './layers.ts';
import type { GPTConfig } from './options.ts';

export class GPT1Body implements Body {
  readonly width: number;
  readonly cache: CacheShape;
  readonly tokens: Embedding;
  readonly #scope: Scope;
  readonly #config: GPTConfig;
  readonly #positions: Embedding;
  readonly #blocks: readonly Block[];

  constructor(scope: Scope, config: GPTConfig) {
    const { vocabSize, blockSize, nLayer, nHead, nEmbd: width, initializerRange } = config;
    const init = normal(initializerRange);
    this.width = width;
    this.cache = { layers: nLayer, keyValueHeads: nHead, headSize: width / nHead };
    this.#scope = scope;
    this.#config = config;
    this.tokens = new Embedding(scope.at('tokens_embed'), { count: vocabSize, width, init, tied: true });
    this.#positions = new Embedding(scope.at('positions_embed'), { count: blockSize, width, init });
    this.#blocks = Array.from({ length: nLayer }, (_, layer) => new Block(scope.at(`h.${layer}`), config));
  }

  record(graph: Graph, inputs: RowInputs): Tensor[] {
    let x = embedTokens(graph, this.#scope.at('embedding').path, inputs, this.tokens, this.#positions); // [rows, nEmbd]
    x = drop(graph, this.#scope.at('drop').path, x, this.#config.embdDropout, inputs);
    const states = [x];
    for (const [layer, block] of this.#blocks.entries()) {
      x = block.record(graph, x, inputs, layer);
      states.push(x);
    }
    return states;
  }

  /** Nothing. */
  finish(_graph: Graph, state: Tensor): Tensor {
    return state;
  }
}

/** x ← LN(x + attention(x)), x ← LN(x + mlp(x)). */
class Block {
  readonly #path: string;
  readonly #attention: SelfAttention;
  readonly #norm1: LayerNorm;
  readonly #mlp: FeedForward;
  readonly #norm2: LayerNorm;

  constructor(scope: Scope, config: GPTConfig) {
    const { nEmbd, layerNormEpsilon, initializerRange } = config;
    const init = { inner: normal(initializerRange), residual: normal(initializerRange) };
    this.#path = scope.path;
    this.#attention = gptAttention(scope.at('attn'), config, init);
    this.#norm1 = new LayerNorm(scope.at('ln_1'), nEmbd, layerNormEpsilon);
    this.#mlp = gptFeedForward(scope.at('mlp'), config, init);
    this.#norm2 = new LayerNorm(scope.at('ln_2'), nEmbd, layerNormEpsilon);
  }

  record(graph: Graph, x: Tensor, inputs: RowInputs, layer: number): Tensor {
    const attended = this.#attention.record(graph, x, inputs, layer);
    x = this.#norm1.record(graph, add(graph, `${this.#path}.attn.residual`, x, attended));
    const fed = this.#mlp.record(graph, x, inputs);
    return this.#norm2.record(graph, add(graph, `${this.#path}.mlp.residual`, x, fed));
  }
}
