/** What attention with and without a cache have in common: queries, keys and values in heads, and the segments of their rows. */

import * as op from '../../abi/index.ts';
import { ConfigError, ShapeError } from '../../errors.ts';
import { type FieldValue, f32Word } from '../graph.ts';
import { type Extent, ldOf, maxOf, type Region, shapeOf, type Tensor } from '../tensor.ts';

/** Which rows belong to the same sequence: i32[count][SEGMENT_WORDS] and how many there are. */
export interface Segments {
  readonly table: Region;
  readonly count: Extent;
  /** The most rows that a segment has, or positions that a cached sequence has. */
  readonly maxLength: number;
}

/** What rows attend with, and to: tensors of their own or columns of one (columnsOf). */
export interface QueryKeyValue {
  /** [rows, heads · headSize]. */
  readonly query: Tensor;
  /** [rows, keyValueHeads · headSize], as `value`. */
  readonly key: Tensor;
  readonly value: Tensor;
}

export interface HeadOptions {
  /** Heads of the queries. */
  readonly heads: number;
  /**
   * Heads of keys and values, a divisor of `heads`: as many query heads in a row share one (Ainslie et al. 2023, grouped-query
   * attention). Default `heads`.
   */
  readonly keyValueHeads?: number | undefined;
  /** A row sees itself and the window − 1 rows before it (Child et al. 2019, sliding window). Default: all rows before it. */
  readonly window?: number | undefined;
  /** What scores are multiplied by. Default 1 / √headSize. */
  readonly scale?: number | undefined;
}

/** The checked heads of an operation, and the fields that describe them. */
export interface Heads {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly window: number;
  readonly fields: readonly (readonly [word: number, value: FieldValue])[];
}

/**
 * Checks queries, keys and values, and gives the fields that all operations of attention have in common.
 * @throws ShapeError when heads do not divide them; ConfigError for a window or scale out of range
 */
export function headsOf(
  label: string,
  { query, key, value }: QueryKeyValue,
  segments: Segments,
  { heads, keyValueHeads = heads, window = 0, scale }: HeadOptions,
): Heads {
  const headSize = query.cols / heads;
  if (!Number.isInteger(headSize))
    throw new ShapeError(label, `queries of ${heads} heads`, ['rows', `a multiple of ${heads}`], shapeOf(query));
  if (!(keyValueHeads >= 1 && Number.isInteger(heads / keyValueHeads)))
    throw new ConfigError(`${label}: expected key-value heads that divide ${heads} heads, got ${keyValueHeads}.`);
  for (const [name, tensor] of [['keys', key] as const, ['values', value] as const])
    if (maxOf(tensor.rows) !== maxOf(query.rows) || tensor.cols !== keyValueHeads * headSize) {
      const expected = [shapeOf(query)[0], keyValueHeads * headSize];
      throw new ShapeError(label, `${name} of ${keyValueHeads} heads`, expected, shapeOf(tensor));
    }
  if (!(Number.isInteger(window) && window >= 0 && window < 2 ** 30))
    throw new ConfigError(`${label}: expected a window of 1 to 2^30 − 1 rows, or 0 for none, got ${window}.`);
  if (scale !== undefined && !(scale > 0 && Number.isFinite(scale)))
    throw new ConfigError(`${label}: expected a finite scale above 0, got ${scale}.`);
  const fields: Heads['fields'] = [
    [op.ATTENTION_Q, query],
    [op.ATTENTION_LDQ, ldOf(query)],
    [op.ATTENTION_K, key],
    [op.ATTENTION_LDK, ldOf(key)],
    [op.ATTENTION_V, value],
    [op.ATTENTION_LDV, ldOf(value)],
    [op.ATTENTION_SEGMENTS, segments.table],
    [op.ATTENTION_SEGMENT_COUNT, segments.count],
    [op.ATTENTION_HEADS, heads],
    [op.ATTENTION_KEY_VALUE_HEADS, keyValueHeads],
    [op.ATTENTION_HEAD_SIZE, headSize],
    [op.ATTENTION_SCALE, f32Word(scale ?? 1 / Math.sqrt(headSize))],
    [op.ATTENTION_WINDOW, window],
  ];
  return { heads, keyValueHeads, headSize, window, fields };
}
