/**
 * A model family: how its config.json reads, which parameters it has, and what it computes. One folder of models/ each; the list is
 * registry.ts. Everything else in this package sees families through this interface.
 */
import type { ConfigFields } from '../formats/config/fields.ts';
import type { OptionRules } from '../formats/config/options.ts';
import type { ConfigRecord } from '../formats/config/write-fields.ts';
import type { Graph } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { RowInputs } from '../nn/rows.ts';
import type { Scope } from '../nn/scope.ts';
import type { Head } from './heads/head.ts';

/** The options that every model's configuration has. */
export interface ModelConfig {
  /** Number of token ids. */
  readonly vocabSize: number;
  /** Longest sequence, tokens. */
  readonly blockSize: number;
  /** Token id that begins a text, below vocabSize. */
  readonly bosTokenId?: number;
  /** Token id that ends a text, below vocabSize. */
  readonly eosTokenId?: number;
}

/** Some options of a configuration; the others take their defaults. */
export type Options<C> = { readonly [K in keyof C]?: C[K] | undefined };

/** What a key-value cache of a body holds of each position. */
export interface CacheShape {
  readonly layers: number;
  /** Of each layer. */
  readonly keyValueHeads: number;
  readonly headSize: number;
}

/** What turns token ids into hidden states. */
export interface Body {
  /** Columns of hidden states. */
  readonly width: number;
  /** What a key-value cache for it holds; absent where no row reads another one. */
  readonly cache?: CacheShape;
  /**
   * Records the forward pass.
   * @returns layers + 1 states [rows, width]: the embeddings, then the output of each layer, the last one as a head reads it: what
   * transformers calls `hidden_states`
   */
  record(graph: Graph, inputs: RowInputs): Tensor[];
  /** Records what stands between a layer's output and a head, such as a last norm. The last state of `record` has it already. */
  finish(graph: Graph, state: Tensor): Tensor;
}

/** How the names of tensors in files differ from those of the parameters. */
export interface TensorNames {
  /** Put in front of the body's names by models with a head; files of the body alone leave it out. */
  readonly prefix: string;
  /** Other names under which files hold a parameter, by its name. */
  readonly aliases: Readonly<Record<string, readonly string[]>>;
  /** Tensors that carry nothing to learn, such as stored masks. */
  readonly buffers: RegExp;
}

/** The layers of a model. */
export interface Architecture<H extends Head = Head> {
  readonly body: Body;
  readonly head: H;
}

/** A model family, as the rest of this package uses it; see docs/extending/add-a-model.md. */
export interface Family<C extends ModelConfig = ModelConfig, H extends Head = Head> {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** The ranges of all options. */
  readonly rules: OptionRules<C>;
  /** The options that are dropout probabilities; loading a folder may replace them. */
  readonly dropouts: readonly string[];
  readonly names: TensorNames;
  /** What `vocab.json` and `merges.txt` of this family hold, since these files do not name their kind. */
  readonly vocabulary: 'byte-level-bpe' | 'word-suffix-bpe';
  /** Linear layers that get LoRA adapters by default, by the ends of their names. */
  readonly adapterTargets: readonly string[];
  /** Completes options with their defaults; checks nothing. An option that is there is not undefined. */
  complete(options: Partial<C>): C;
  /**
   * Reads config.json; absent fields take the defaults of transformers.
   * @throws ConfigError naming file, field and value, also for variants that this package does not compute
   */
  readConfig(fields: ConfigFields): C;
  /**
   * The fields of a config.json that transformers loads.
   * @throws ConfigError for what the family's files cannot express
   */
  writeConfig(config: C): ConfigRecord;
  /** Its size in one phrase: `12 layers, 12 heads, 768 wide`. */
  shapeOf(config: C): string;
  /** What `shapeOf` leaves out, in a few lines. */
  describe(config: C): string[];
  /** Makes the layers, which declare their parameters in `scope`. */
  build(scope: Scope, config: C): Architecture<H>;
}
