/**
 * Recording. Model code calls operations (ops/), which record descriptors here; a TrainingGraph (training-graph.ts) emits the
 * operations of the reverse pass after them; `Plan.compile` (plan.ts) places everything in memory and runs it.
 */

import * as op from '../abi/index.ts';
import { ConfigError, ShapeError } from '../errors.ts';
import type { ParameterTable } from './parameters.ts';
import {
  type Activation,
  type Extent,
  isRegion,
  isStrided,
  ldOf,
  maxOf,
  type Region,
  type Size,
  type Tensor,
} from './tensor.ts';

/** An argument of an operation: a plain word, a size, or the address of a tensor or region. */
export type FieldValue = number | Size | Tensor | Region;

export interface Operation {
  readonly opcode: number;
  /** Layer and operation, for the profiler: `transformer.h.0.attn.c_attn`. */
  readonly label: string;
  /** Pairs of descriptor word and value. */
  readonly fields: readonly (readonly [word: number, value: FieldValue])[];
  /** Scratch bytes that each thread needs. */
  readonly scratchBytes: number;
  /** What it computes, for operations that gradients pass through. Those that only help another one have none. */
  readonly output?: Tensor;
  /** An earlier operation whose result `output` was before this one added to it in place. Their gradients are recorded in this order. */
  readonly onTopOf?: Operation;
  /** What it costs, where cost.ts cannot compute it from the fields. */
  readonly flops?: number;
  readonly bytes?: number;
}

/** An operation as it is recorded: what most have none of may be left out. */
export type NewOperation = Pick<Operation, 'opcode' | 'label' | 'fields'> & Partial<Operation>;

/** A run of operations that is started on its own. */
export interface Section {
  readonly name: string;
  readonly first: number;
  count: number;
}

/** The blocks of a model that its graphs read, and write gradients to. */
export interface ParameterBlocks {
  readonly table: ParameterTable;
  readonly weights: Region;
  /** Parameters that have no gradients, in any encoding: those of a model whose adapters are trained. */
  readonly frozen?: { readonly table: ParameterTable; readonly weights: Region };
  /** Linear layers with additions, by their names. */
  readonly adapters?: ReadonlyMap<string, AdaptedLayer>;
}

/** Zeroes some elements of x in training. */
export type Dropout = (graph: Graph, label: string, x: Tensor, p: number) => Tensor;

/** Records a linear layer, and what an adapter adds to it. */
export type AdaptedLayer = (
  graph: Graph,
  name: string,
  x: Tensor,
  weight: Tensor,
  options: { readonly bias?: Tensor | undefined; readonly transposed?: boolean },
  dropout: Dropout | undefined,
) => Tensor;

/** Operations that have a leading dimension for each tensor that may be a view. */
const TAKE_VIEWS: ReadonlySet<number> = new Set([
  op.OP_GEMM,
  op.OP_GEMM_PANELS,
  op.OP_QUANTIZE_ROWS,
  op.OP_ATTENTION,
  op.OP_ATTENTION_BACKWARD,
  op.OP_CACHE_APPEND,
  op.OP_ATTENTION_CACHED,
  op.OP_ROTARY,
]);

/** What a model's forward pass is recorded in: operations, in order, on tensors that have shapes and no values yet. */
export class Graph {
  /** All operations, in the order in which they run. */
  readonly operations: Operation[] = [];
  /** Runs of operations that can be started on their own. */
  readonly sections: Section[] = [];
  /** The dynamic sizes, by their index. */
  readonly sizes: Size[] = [];
  /** Regions in the memory of the plan: inputs that the host writes, results that it reads. */
  readonly regions: Region[] = [];
  /** The memory of intermediate results. */
  readonly activations: Activation[] = [];
  /** The blocks of the model's parameters. */
  readonly parameters: ParameterBlocks;
  /** Whether gradients are wanted: operations then keep what their backward pass reads. */
  readonly training: boolean = false;
  readonly #parameterTensors = new Map<string, Tensor>();

  constructor(parameters: ParameterBlocks) {
    this.parameters = parameters;
  }

  /** A size that each run sets anew. */
  size(name: string, max: number): Size {
    if (this.sizes.length >= op.CONTEXT_MAX_SIZES)
      throw new ConfigError(`graph: expected at most ${op.CONTEXT_MAX_SIZES} dynamic sizes, got one more.`);
    const size = { name, max, index: this.sizes.length };
    this.sizes.push(size);
    return size;
  }

  /** A block that the host writes before a run or reads after it: `count` words of 32 bits. */
  region(label: string, count: number): Region {
    const region: Region = { label, bytes: count * 4, address: undefined };
    this.regions.push(region);
    return region;
  }

  /** A region as a tensor without gradient. */
  view(region: Region, rows: Extent, cols: number): Tensor {
    return { label: region.label, rows, cols, storage: region, byteOffset: 0, requiresGrad: false };
  }

  /** An intermediate result. */
  activation(label: string, rows: Extent, cols: number, requiresGrad = false): Tensor {
    const storage: Activation = { label, bytes: maxOf(rows) * cols * 4, first: -1, last: -1, offset: -1 };
    this.activations.push(storage);
    return { label, rows, cols, storage, byteOffset: 0, requiresGrad: requiresGrad && this.training };
  }

  /** A parameter of the model, trained or frozen. */
  parameter(name: string): Tensor {
    let tensor = this.#parameterTensors.get(name);
    if (!tensor) {
      const { table, weights, frozen } = this.parameters;
      if (!frozen || table.has(name)) tensor = table.tensor(weights, name);
      else tensor = { ...frozen.table.tensor(frozen.weights, name), requiresGrad: false };
      this.#parameterTensors.set(name, tensor);
    }
    return tensor;
  }

  /** Appends an operation. A TrainingGraph remembers those whose output requires a gradient. */
  record(operation: NewOperation): Operation {
    const index = this.operations.length;
    for (const [, value] of operation.fields) {
      if (typeof value !== 'object' || !('storage' in value)) continue;
      if (isStrided(value) && !TAKE_VIEWS.has(operation.opcode))
        throw new ShapeError(
          operation.label,
          'a tensor without gaps, leading dimension',
          [value.cols],
          [ldOf(value)],
          'Only products, attention and rotary embedding take some columns of a tensor.',
        );
      if (isRegion(value.storage)) continue;
      if (value.storage.first < 0) value.storage.first = index;
      value.storage.last = Math.max(value.storage.last, index);
    }
    const recorded = { scratchBytes: 0, ...operation };
    this.operations.push(recorded);
    const section = this.sections.at(-1);
    if (section) section.count++;
    return recorded;
  }

  /** Operations recorded from now on belong to this section. */
  section(name: string): Section {
    const section = { name, first: this.operations.length, count: 0 };
    this.sections.push(section);
    return section;
  }

  /** Keeps an activation readable after the run. */
  keep(tensor: Tensor): Tensor {
    if (!isRegion(tensor.storage)) tensor.storage.last = Number.POSITIVE_INFINITY;
    return tensor;
  }
}

const floatBits = new DataView(new ArrayBuffer(4));

/** A float argument as the word that stands in a descriptor. */
export function f32Word(value: number): number {
  floatBits.setFloat32(0, value);
  return floatBits.getInt32(0);
}

/** The float that a word of a descriptor is. */
export function f32OfWord(word: number): number {
  floatBits.setInt32(0, word);
  return floatBits.getFloat32(0);
}
