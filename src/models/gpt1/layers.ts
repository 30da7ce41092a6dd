/** The two sub-layers of a GPT block, under the names that files give them. Weights are stored [in, out] (transformers' Conv1D). */
import type { Initializer } from '../../graph/parameters.ts';
import { SelfAttention } from '../../nn/attention.ts';
import { FeedForward } from '../../nn/feed-forward.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/scope.ts';
import type { GPTConfig } from './options.ts';

/** How new weights are drawn. */
export interface Initialization {
  /** Of weights that read the residual stream. */
  readonly inner: Initializer;
  /** Of weights whose product is added to it. */
  readonly residual: Initializer;
}

/** Masked multi-head self-attention: one product for queries, keys and values, one for the output. */
export function gptAttention(scope: Scope, config: GPTConfig, { inner, residual }: Initialization): SelfAttention {
  const { nEmbd, nHead, attnDropout, residDropout } = config;
  return new SelfAttention(scope, {
    projection: linear(scope.at('c_attn'), nEmbd, 3 * nEmbd, inner),
    output: linear(scope.at('c_proj'), nEmbd, nEmbd, residual),
    heads: nHead,
    dropout: attnDropout,
    outputDropout: residDropout,
  });
}

export function gptFeedForward(scope: Scope, config: GPTConfig, { inner, residual }: Initialization): FeedForward {
  const { nEmbd, nInner, activation, residDropout } = config;
  return new FeedForward(scope, {
    up: linear(scope.at('c_fc'), nEmbd, nInner, inner),
    down: linear(scope.at('c_proj'), nInner, nEmbd, residual),
    activation,
    dropout: residDropout,
  });
}

/** Weights stored [in, out]. */
function linear(scope: Scope, inputs: number, outputs: number, init: Initializer): Linear {
  return new Linear(scope, { inputs, outputs, init, layout: 'in-out' });
}
