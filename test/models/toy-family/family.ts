/**
 * A family of another package, written against `lanewise/family` alone: a language model of two feed-forward layers, which sees a
 * token and its position. All that a family takes is here: options, config.json both ways, layers.
 * docs/extending/add-a-model.md walks through it, and `npm run test:package` compiles and runs it with the packed package.
 */
import {
  add,
  type Body,
  type ConfigFields,
  Embedding,
  embedTokens,
  type Family,
  FeedForward,
  type Graph,
  LanguageModelHead,
  Linear,
  type ModelConfig,
  normal,
  type OptionRules,
  type RowInputs,
  type Scope,
  type Tensor,
  TOKEN_ID,
  wholeNumber,
} from '../../../src/family.ts';

/** Shape of a toy model. */
export interface ToyConfig extends ModelConfig {
  /** Columns of hidden states. */
  readonly width: number;
  /** Feed-forward layers. */
  readonly layers: number;
}

const RULES: OptionRules<ToyConfig> = {
  vocabSize: [wholeNumber(1, 2 ** 16)],
  blockSize: [wholeNumber(1, 2 ** 16)],
  layers: [wholeNumber(1, 100)],
  width: [wholeNumber(1, 2 ** 12)],
  bosTokenId: [TOKEN_ID],
  eosTokenId: [TOKEN_ID],
};

/** New weights. */
const INIT = normal(0.1);

class ToyBody implements Body {
  readonly width: number;
  readonly #path: string;
  readonly #tokens: Embedding;
  readonly #positions: Embedding;
  readonly #layers: readonly FeedForward[];

  constructor(scope: Scope, { vocabSize, blockSize, width, layers }: ToyConfig) {
    this.width = width;
    this.#path = scope.path;
    this.#tokens = new Embedding(scope.at('tokens'), { count: vocabSize, width, init: INIT });
    this.#positions = new Embedding(scope.at('positions'), { count: blockSize, width, init: INIT });
    this.#layers = Array.from({ length: layers }, (_, layer) => feedForward(scope.at(`layers.${layer}`), width));
  }

  record(graph: Graph, inputs: RowInputs): Tensor[] {
    const states = [embedTokens(graph, `${this.#path}.embedding`, inputs, this.#tokens, this.#positions)];
    for (const [index, layer] of this.#layers.entries()) {
      const x = states[index]!;
      states.push(add(graph, `${this.#path}.residual.${index}`, x, layer.record(graph, x, inputs)));
    }
    return states;
  }

  finish(_graph: Graph, state: Tensor): Tensor {
    return state;
  }
}

function feedForward(scope: Scope, width: number): FeedForward {
  const [inner, layout] = [2 * width, 'out-in'] as const;
  return new FeedForward(scope, {
    up: new Linear(scope.at('up'), { inputs: width, outputs: inner, init: INIT, layout }),
    down: new Linear(scope.at('down'), { inputs: inner, outputs: width, init: INIT, layout, bias: false }),
    activation: 'silu',
    dropout: 0,
  });
}

export const toy: Family<ToyConfig, LanguageModelHead> = {
  modelType: 'toy',
  rules: RULES,
  dropouts: [],
  names: { prefix: 'toy.', aliases: {}, buffers: /^$/ },
  vocabulary: 'byte-level-bpe',
  adapterTargets: ['up', 'down'],
  complete: (options) => ({ vocabSize: 256, blockSize: 32, width: 32, layers: 2, ...options }),
  readConfig: (fields: ConfigFields) =>
    fields.check<ToyConfig>(
      RULES,
      {
        vocabSize: fields.number(['vocab_size'], 256),
        blockSize: fields.number(['n_positions'], 32),
        width: fields.number(['width'], 32),
        layers: fields.number(['layers'], 2),
      },
      (option) => option,
    ),
  writeConfig: ({ vocabSize, blockSize, width, layers }) => ({
    model_type: 'toy',
    vocab_size: vocabSize,
    n_positions: blockSize,
    width,
    layers,
  }),
  shapeOf: ({ layers, width }) => `${layers} layers, ${width} wide`,
  describe: () => [],
  build(scope, config) {
    const body = new ToyBody(scope.at('toy'), config);
    const table = { shape: [config.vocabSize, config.width], init: INIT, product: 'out-in', layer: 'Linear' } as const;
    return { body, head: new LanguageModelHead(scope.at('lm_head').declare('weight', table)) };
  },
};
