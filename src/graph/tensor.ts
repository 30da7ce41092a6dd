/**
 * What operations are recorded on: tensors of f32 (or i32 indices) with `rows` × `cols` elements, row after row.
 * A tensor holds no numbers; it names a place in linear memory that a plan fixes later.
 *
 * Some columns of a tensor are a tensor too, a view, whose rows have gaps between them:
 *
 *   base  [rows, 9]   │ · · · │ x x x │ · · · │     columnsOf(base, 3, 3): rows of 3 elements, ld 9
 */
import { ShapeError } from '../errors.ts';

import type { Encoding } from './encoding.ts';

/** A number of rows that each run sets anew, between 0 and `max`. Plans are built, and memory is kept, for `max`. */
export interface Size {
  readonly name: string;
  readonly max: number;
  /** Its place in the run context. */
  readonly index: number;
}

export type Extent = number | Size;

/** The most rows an extent can have. */
export function maxOf(extent: Extent): number {
  return typeof extent === 'number' ? extent : extent.max;
}

/** A block of linear memory that keeps its content between operations: parameters, gradients, inputs, caches. */
export interface Region {
  readonly label: string;
  readonly bytes: number;
  /** Byte address; undefined until the block is allocated. */
  address: number | undefined;
}

/** The memory of intermediate results; blocks whose lifetimes do not overlap share addresses. */
export interface Activation {
  readonly label: string;
  readonly bytes: number;
  /** First and last operation that touches it; set while operations are recorded. */
  first: number;
  last: number;
  /** Byte offset from the start of the activations; set by placeActivations. */
  offset: number;
}

/** An argument or a result of operations: its shape, and where its values are. */
export interface Tensor {
  /** Name, for messages: of a parameter its whole name. */
  readonly label: string;
  readonly rows: Extent;
  readonly cols: number;
  readonly storage: Region | Activation;
  /** Where the tensor begins inside its storage. */
  readonly byteOffset: number;
  /** How its values lie in memory. Default `f32`: row after row. Others are weights that only products and lookups read. */
  readonly encoding?: Encoding;
  /** Of rows of integers: the floats that they stand for, which get their gradient. */
  readonly quantizedFrom?: Tensor;
  /** Whether a loss can depend on parameters through it. */
  readonly requiresGrad: boolean;
  /** Leading dimension: elements from one row to the next. Default `cols`. */
  readonly ld?: number;
  /** Of a view: the tensor whose columns it is; never a view itself. */
  readonly base?: Tensor;
}

/** Elements from one row to the next. */
export function ldOf({ ld, cols }: Tensor): number {
  return ld ?? cols;
}

/** Whether there are gaps between the rows: a single row has none. */
export function isStrided(tensor: Tensor): boolean {
  return ldOf(tensor) !== tensor.cols && maxOf(tensor.rows) > 1;
}

/** Columns [first, first + cols) of a tensor of floats, row after row, as a tensor [rows, cols] in the same memory. */
export function columnsOf(tensor: Tensor, first: number, cols: number): Tensor {
  const { encoding = 'f32' } = tensor;
  if (encoding !== 'f32') throw new ShapeError(tensor.label, 'columns of values in', ['f32'], [encoding]);
  if (!(Number.isInteger(first) && Number.isInteger(cols) && first >= 0 && cols >= 0 && first + cols <= tensor.cols))
    throw new ShapeError(tensor.label, `columns of ${tensor.cols}`, [0, tensor.cols], [first, first + cols]);
  return {
    label: tensor.label,
    rows: tensor.rows,
    cols,
    storage: tensor.storage,
    byteOffset: tensor.byteOffset + 4 * first,
    requiresGrad: tensor.requiresGrad,
    ld: ldOf(tensor),
    base: tensor.base ?? tensor,
  };
}

/** The column of its base at which a view begins; 0 of a tensor that is none. */
export function firstColumnOf({ byteOffset, base }: Tensor): number {
  return base ? (byteOffset - base.byteOffset) / 4 : 0;
}

export function isRegion(storage: Region | Activation): storage is Region {
  return 'address' in storage;
}

/** `[rows, cols]`, for messages. */
export function shapeOf(tensor: Tensor): [number | string, number] {
  return [typeof tensor.rows === 'number' ? tensor.rows : `${tensor.rows.name}≤${tensor.rows.max}`, tensor.cols];
}
