/**
 * Recording. Model code calls operations (ops/), which record descriptors here; `backward` emits the operations of
 * the reverse pass behind them; `Plan.compile` (plan.ts) places everything in memory and runs it.
 */
import { ConfigError } from '../errors.ts';
import {
  CONTEXT_MAX_SIZES,
  COPY_COLS,
  COPY_FLAGS,
  COPY_INP,
  COPY_OUT,
  COPY_ROWS,
  FLAG_ACCUMULATE,
  OP_COPY,
} from './opcodes.ts';
import type { ParameterTable } from './parameters.ts';
import { type Activation, type Extent, isRegion, maxOf, type Region, type Size, type Tensor } from './tensor.ts';

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
  /** Floating-point operations at the largest sizes, 2 per multiply-add; 0 where bytes say more. */
  readonly flops: number;
  /** Bytes that it reads and writes at the largest sizes, when nothing is read twice. Default: each operand once. */
  readonly bytes: number;
}

/** A run of operations that is started on its own. */
export interface Section {
  readonly name: string;
  readonly first: number;
  count: number;
}

/** Where a gradient is to be written: into `tensor`, on top of what is there when `accumulate`. */
export interface GradientTarget {
  readonly tensor: Tensor;
  readonly accumulate: boolean;
}

/** A gradient in the making. Several tensors may share one until one of them must change it. */
interface Gradient {
  tensor: Tensor;
  readonly owners: Set<Tensor>;
}

/** The blocks of a model that its graphs read, and write gradients to. */
export interface ParameterBlocks {
  readonly table: ParameterTable;
  readonly weights: Region;
  /** Gradients in the same layout; absent when nothing is trained. */
  readonly gradients?: Region;
  /** Parameters that have no gradients, in any encoding: those of a model whose adapters are trained. */
  readonly frozen?: { readonly table: ParameterTable; readonly weights: Region };
  /** What is added to linear layers, by their names. */
  readonly adapters?: ReadonlyMap<string, Adapter>;
}

/** An addition of low rank to a linear layer: scale · (x · Aᵀ) · Bᵀ (ops/low-rank.ts). */
export interface Adapter {
  /** Names of the parameters A [rank, in] and B [out, rank]. */
  readonly a: string;
  readonly b: string;
  readonly scale: number;
  /** Share of x that is set to 0 in training. */
  readonly dropout: number;
}

export class Graph {
  readonly operations: Operation[] = [];
  readonly sections: Section[] = [];
  readonly sizes: Size[] = [];
  /** Regions that belong to the plan: inputs that the host writes, results that it reads. */
  readonly regions: Region[] = [];
  readonly activations: Activation[] = [];
  readonly parameters: ParameterBlocks;
  readonly #parameterTensors = new Map<string, Tensor>();
  readonly #tape: { output: Tensor; backward: (dout: Tensor) => void }[] = [];
  readonly #gradients = new Map<Tensor, Gradient>();

  constructor(parameters: ParameterBlocks) {
    this.parameters = parameters;
  }

  /** Whether gradients are wanted: operations then keep what their backward pass reads. */
  get training(): boolean {
    return this.parameters.gradients !== undefined;
  }

  /** A size that each run sets anew. */
  size(name: string, max: number): Size {
    if (this.sizes.length >= CONTEXT_MAX_SIZES)
      throw new ConfigError(`graph: expected at most ${CONTEXT_MAX_SIZES} dynamic sizes, got one more.`);
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

  /** What is added to a linear layer; undefined for most. */
  adapter(layer: string): Adapter | undefined {
    return this.parameters.adapters?.get(layer);
  }

  /** Appends an operation. */
  record(operation: Pick<Operation, 'opcode' | 'label' | 'fields'> & Partial<Operation>): void {
    const index = this.operations.length;
    for (const [, value] of operation.fields) {
      if (typeof value !== 'object' || !('storage' in value) || isRegion(value.storage)) continue;
      if (value.storage.first < 0) value.storage.first = index;
      value.storage.last = Math.max(value.storage.last, index);
    }
    this.operations.push({ scratchBytes: 0, flops: 0, bytes: operandBytes(operation.fields), ...operation });
    const section = this.sections.at(-1);
    if (section) section.count++;
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

  // ── Reverse pass ────────────────────────────────────────────────────────────────────────────────────────────

  /** Says how the gradient of `output` reaches the operation's inputs. `backward` records operations when called. */
  differentiable(output: Tensor, backward: (dout: Tensor) => void): Tensor {
    if (output.requiresGrad) this.#tape.push({ output, backward });
    return output;
  }

  /** Where an operation's backward pass writes the gradient of `x`; undefined when nobody wants it. */
  gradientOf(x: Tensor): GradientTarget | undefined {
    if (!x.requiresGrad || !this.parameters.gradients) return undefined;
    if (this.#parameterTensors.get(x.label) === x)
      return { tensor: this.parameters.table.tensor(this.parameters.gradients, x.label), accumulate: true };
    let gradient = this.#gradients.get(x);
    if (!gradient) {
      gradient = { tensor: this.activation(`d ${x.label}`, x.rows, x.cols), owners: new Set([x]) };
      this.#gradients.set(x, gradient);
      return { tensor: gradient.tensor, accumulate: false };
    }
    if (gradient.owners.size > 1) {
      // Somebody else still reads the shared gradient: this one goes on with a copy.
      const copy = this.activation(`d ${x.label}`, x.rows, x.cols);
      this.#copy(copy, gradient.tensor, false);
      gradient.owners.delete(x);
      gradient = { tensor: copy, owners: new Set([x]) };
      this.#gradients.set(x, gradient);
    }
    return { tensor: gradient.tensor, accumulate: true };
  }

  /** Gives `dout` to `x` unchanged, as the backward pass of a sum does: shared when it is the first contribution. */
  shareGradient(x: Tensor, dout: Tensor): void {
    if (!x.requiresGrad) return;
    const source = [...this.#gradients.values()].find((gradient) => gradient.tensor === dout);
    if (source && !this.#gradients.has(x) && this.#parameterTensors.get(x.label) !== x) {
      source.owners.add(x);
      this.#gradients.set(x, source);
      return;
    }
    const target = this.gradientOf(x);
    if (target) this.#copy(target.tensor, dout, target.accumulate);
  }

  /** Records the operations of the reverse pass. The gradients of outputs must have been started by a loss. */
  backward(): void {
    for (const { output, backward } of this.#tape.toReversed()) {
      const gradient = this.#gradients.get(output);
      if (!gradient) continue; // no loss depends on it
      backward(gradient.tensor);
      gradient.owners.delete(output);
    }
    this.#tape.length = 0;
  }

  #copy(out: Tensor, inp: Tensor, accumulate: boolean): void {
    this.record({
      opcode: OP_COPY,
      label: out.label,
      fields: [
        [COPY_OUT, out],
        [COPY_INP, inp],
        [COPY_ROWS, inp.rows],
        [COPY_COLS, inp.cols],
        [COPY_FLAGS, accumulate ? FLAG_ACCUMULATE : 0],
      ],
    });
  }
}

/** Bytes of all tensors and regions among the arguments. */
function operandBytes(fields: Operation['fields']): number {
  return fields.reduce((sum, [, value]) => {
    if (typeof value === 'number' || 'index' in value) return sum;
    return sum + ('storage' in value ? maxOf(value.rows) * value.cols * 4 : value.bytes);
  }, 0);
}

const floatBits = new DataView(new ArrayBuffer(4));

/** A float argument as the word that stands in a descriptor. */
export function f32Word(value: number): number {
  floatBits.setFloat32(0, value);
  return floatBits.getInt32(0);
}
