/** The key-value cache of a session: one block of memory for all layers, allocated once and never copied. */
import { ConfigError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Segments } from '../../graph/ops/attention-heads.ts';
import { type CacheDtype, cacheBytes, cachedAttention } from '../../graph/ops/cached-attention.ts';
import type { Region } from '../../graph/tensor.ts';
import type { RowInputs } from '../../nn/rows.ts';
import { align } from '../../runtime/allocator.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { CacheShape } from '../family.ts';

/** The cache keeps panels of so many positions. */
const PANEL = 8;

export interface CacheOptions {
  readonly sequences: number;
  /** Positions of each sequence. */
  readonly capacity: number;
  readonly dtype: CacheDtype;
}

export class KeyValueCache {
  /** Positions of each sequence, in whole panels. */
  readonly capacity: number;
  readonly #engine: Engine;
  readonly #region: Region & { readonly address: number };
  readonly #layerBytes: number;
  readonly #dtype: CacheDtype;

  private constructor(engine: Engine, address: number, bytes: number, layerBytes: number, options: CacheOptions) {
    this.capacity = options.capacity;
    this.#engine = engine;
    this.#region = { label: 'cache', bytes, address };
    this.#layerBytes = layerBytes;
    this.#dtype = options.dtype;
  }

  /** @throws MemoryError when it does not fit beside the model */
  static async allocate(engine: Engine, shape: CacheShape, options: CacheOptions): Promise<KeyValueCache> {
    const { sequences, dtype } = options;
    const capacity = Math.ceil(options.capacity / PANEL) * PANEL;
    const layerBytes = align(sequences * capacity * cacheBytes(dtype, shape.keyValueHeads, shape.headSize));
    const bytes = shape.layers * layerBytes;
    const address = await engine.allocate(bytes, `the cache of ${sequences} × ${options.capacity} positions`);
    return new KeyValueCache(engine, address, bytes, layerBytes, { ...options, capacity });
  }

  /** How rows attend to what a layer's cache holds of their sequence, where their own keys and values go too. */
  attend(graph: Graph, segments: Segments): RowInputs['attend'] {
    const all = graph.view(this.#region, Math.floor(this.#region.bytes / 4), 1);
    return (at, name, inputs, layer, options) => {
      if (options.causal === false)
        throw new ConfigError(
          `${name}: expected causal attention with a cache, got bidirectional. Read whole sequences.`,
        );
      const tensor = { ...all, byteOffset: layer * this.#layerBytes };
      const cache = { tensor, capacity: this.capacity, dtype: this.#dtype };
      return cachedAttention(at, name, inputs, cache, segments, options);
    };
  }

  release(): void {
    this.#engine.release(this.#region.address);
  }
}
