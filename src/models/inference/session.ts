/**
 * Running a model forward with a key-value cache: several sequences, each appended to as it grows.
 * The cache is one block, allocated once; a decode step is one call into WebAssembly.
 */

import { ConfigError } from '../../errors.ts';
import type { CacheDtype } from '../../graph/ops/cached-attention.ts';
import { gatherRows } from '../../graph/ops/embedding.ts';
import { Plan } from '../../graph/plan.ts';
import type { Region, Size, Tensor } from '../../graph/tensor.ts';
import { type DynamicRows, dynamicRows, type RowGroup, type RowInputs, writeRows } from '../../nn/rows.ts';
import { checkTokens } from '../check-tokens.ts';
import type { CausalLM } from '../model.ts';
import { KeyValueCache } from './cache.ts';

/** How much a session holds. */
export interface SessionOptions {
  /** Sequences that are kept side by side. Default 1. */
  readonly sequences?: number;
  /** Positions of each sequence, at most the model's blockSize. Default blockSize. */
  readonly capacity?: number;
  /** Rows of one run; longer prompts are fed in pieces. Default 256. */
  readonly maxRows?: number;
  /**
   * What keys and values are kept as. bf16 takes half the memory and half the time to read it, and rounds them to 8 bits of
   * mantissa. Default: bf16 for weights in q8 or q4, unless the precision is `exact`; else f32.
   */
  readonly cacheDtype?: CacheDtype | undefined;
}

/** How tokens are appended. */
export interface AppendOptions {
  /** Looked at between runs of `maxRows` rows; `append` throws its reason, and the sequences then hold part of the tokens. */
  readonly signal?: AbortSignal | undefined;
  /** Where the logits go: [groups, V]. Default: new memory, which takes longer to get than the logits to copy. */
  readonly logits?: Float32Array<ArrayBuffer> | undefined;
}

/** Sequences that grow token by token, with their keys and values in a cache. */
export class Session {
  /** The model that computes. */
  readonly model: CausalLM;
  /** How many sequences it holds. */
  readonly sequences: number;
  /** Positions of each sequence. */
  readonly capacity: number;
  /** Rows of one run at most. */
  readonly maxRows: number;
  /** What keys and values are kept as. */
  readonly cacheDtype: CacheDtype;
  readonly #plan: Plan;
  readonly #inputs: DynamicRows;
  readonly #head: { rows: Size; indices: Region; logits: Tensor };
  readonly #cache: KeyValueCache | undefined;
  #disposed = false;

  private constructor(
    model: CausalLM,
    plan: Plan,
    inputs: DynamicRows,
    head: { rows: Size; indices: Region; logits: Tensor },
    cache: KeyValueCache | undefined,
    {
      sequences,
      capacity,
      maxRows,
      cacheDtype,
    }: { readonly [K in keyof SessionOptions]-?: NonNullable<SessionOptions[K]> },
  ) {
    this.model = model;
    this.sequences = sequences;
    this.capacity = capacity;
    this.maxRows = maxRows;
    this.cacheDtype = cacheDtype;
    this.#plan = plan;
    this.#inputs = inputs;
    this.#head = head;
    this.#cache = cache;
  }

  /**
   * Allocates the cache and compiles the plan of a session.
   * @param model any causal language model
   * @param options `sequences` (default 1), `capacity` (positions of each, default blockSize), `maxRows` (rows of one run, default 256),
   * `cacheDtype` (`f32` or `bf16`, see SessionOptions)
   * @returns the session, empty; dispose it before the model
   * @throws MemoryError when cache and activations do not fit beside the model; ConfigError for an unknown cacheDtype
   * @example
   * const session = await Session.create(model, { sequences: 2, capacity: 128 });
   */
  static async create(model: CausalLM, options: SessionOptions = {}): Promise<Session> {
    const { blockSize } = model.config;
    const { sequences = 1, capacity = blockSize, maxRows = Math.min(256, capacity * sequences) } = options;
    const { engine, dtype, body } = model;
    const isRounded = (dtype === 'q8' || dtype === 'q4') && engine.info.precision === 'fast';
    const { cacheDtype = isRounded ? 'bf16' : 'f32' } = options;
    if (cacheDtype !== 'f32' && cacheDtype !== 'bf16')
      throw new ConfigError(
        `session: expected cacheDtype f32 or bf16, got ${cacheDtype}. Leave it out for the default.`,
      );
    const cacheOptions = { sequences, capacity, dtype: cacheDtype };
    const cache = body.cache && (await KeyValueCache.allocate(engine, body.cache, cacheOptions));
    try {
      const graph = model.graph();
      const rows = dynamicRows(graph, maxRows, sequences, cache?.capacity ?? capacity);
      const attend = cache ? cache.attend(graph, rows.segments) : withoutCache;
      graph.section('body');
      const hidden = graph.keep(model.body.record(graph, { ...rows, attend }).at(-1)!);
      graph.section('head');
      const headRows = graph.size('head rows', sequences);
      const indices = graph.region('head rows', sequences);
      const last = gatherRows(graph, 'last rows', hidden, indices, headRows);
      const logits = graph.keep(model.head.record(graph, last));
      const plan = await Plan.compile(engine, graph, `activations of ${maxRows} rows`);
      return new Session(model, plan, rows, { rows: headRows, indices, logits }, cache, {
        sequences,
        capacity,
        maxRows,
        cacheDtype,
      });
    } catch (error) {
      cache?.release();
      throw error;
    }
  }

  /**
   * Appends tokens to sequences.
   * @param groups for each sequence its slot, the tokens, and the position of the first (what the sequence holds already)
   * @param options `signal` cancels between runs; `logits` [groups, V] receives the logits
   * @returns the logits [V] after the last token of each group, parts of `options.logits` where that is given
   * @throws RangeError for a slot that there is not, or twice, and for tokens that do not fit; DataError for unknown ids
   * @example
   * const [logits] = await session.append([{ tokens: [464, 3290], slot: 0, position: 0 }]);
   */
  async append(groups: readonly RowGroup[], options: AppendOptions = {}): Promise<Float32Array[]> {
    const { vocabSize } = this.model.config;
    const { signal, logits = new Float32Array(groups.length * vocabSize) } = options;
    if (logits.length < groups.length * vocabSize)
      throw new RangeError(
        `session: expected room for ${groups.length} × ${vocabSize} logits, got ${logits.length}. Leave it out, or make it larger.`,
      );
    const slots = new Set<number>();
    for (const { tokens, position = 0, slot = 0 } of groups) {
      checkTokens(tokens, vocabSize, 'session');
      if (!(Number.isInteger(slot) && slot >= 0 && slot < this.sequences) || slots.has(slot))
        throw new RangeError(
          `session: expected slots from 0 to ${this.sequences - 1}, each once, got ${slot}${slots.has(slot) ? ' twice' : ''}.`,
        );
      slots.add(slot);
      if (!(Number.isInteger(position) && position >= 0 && position <= this.capacity))
        throw new RangeError(`session: expected a position from 0 to ${this.capacity}, got ${position}.`);
      if (tokens.length === 0 || position + tokens.length > this.capacity)
        throw new RangeError(
          `session: expected 1 to ${this.capacity - position} tokens after position ${position}, got ${tokens.length}.`,
        );
    }
    for (const run of packRuns(groups, this.maxRows)) {
      signal?.throwIfAborted();
      const starts = writeRows(
        this.#plan,
        this.#inputs,
        run.map(({ piece }) => piece),
      );
      const finished = run.flatMap(({ group, last, piece }, index) =>
        last ? [{ group, row: starts[index]! + piece.tokens.length - 1 }] : [],
      );
      if (finished.length === 0) await this.#plan.run('body');
      for (let first = 0; first < finished.length; first += this.#head.rows.max) {
        const some = finished.slice(first, first + this.#head.rows.max);
        this.#plan.write(
          this.#head.indices,
          Int32Array.from(some, ({ row }) => row),
        );
        this.#plan.setSize(this.#head.rows, some.length);
        // Both calls are made at once: they take effect in order, and the engine of a page answers each a moment later.
        // Groups end in their order, so these follow each other.
        await Promise.all([
          this.#plan.run(first === 0 ? 'body' : 'head', 'head'),
          this.#plan.read(this.#head.logits, some.length, logits.subarray(some[0]!.group * vocabSize)),
        ]);
      }
    }
    return groups.map((_, group) => logits.subarray(group * vocabSize, (group + 1) * vocabSize));
  }

  /** What runs, for the profiler: run again it does what it did last, with the same rows. */
  get plan(): Plan {
    return this.#plan;
  }

  /** Gives cache and plan back to the model's engine. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.model.engine.disposed) return;
    this.#plan.dispose();
    this.#cache?.release();
  }
}

/** For bodies without a cache, which have no attention. */
const withoutCache: RowInputs['attend'] = (_graph, name) => {
  throw new ConfigError(
    `${name}: expected a body with a cache, since it has attention, got one without. Add its cache.`,
  );
};

interface Piece {
  readonly group: number;
  readonly piece: RowGroup;
  readonly last: boolean;
}

/** Cuts groups into runs of at most `maxRows` rows, in order. */
function packRuns(groups: readonly RowGroup[], maxRows: number): Piece[][] {
  const runs: Piece[][] = [];
  let room = 0;
  groups.forEach((group, index) => {
    const { tokens, position = 0, slot = 0 } = group;
    for (let at = 0; at < tokens.length; ) {
      if (room === 0) {
        runs.push([]);
        room = maxRows;
      }
      const count = Math.min(room, tokens.length - at);
      const part = Array.prototype.slice.call(tokens, at, at + count) as number[];
      runs.at(-1)!.push({
        group: index,
        piece: { tokens: part, position: position + at, slot },
        last: at + count === tokens.length,
      });
      at += count;
      room -= count;
    }
  });
  return runs;
}
