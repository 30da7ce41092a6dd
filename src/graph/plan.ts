/**
 * A compiled graph: descriptors, inputs, activations and scratch in linear memory, run by one call into WebAssembly.
 *
 * One block holds it all:  | context | descriptors | regions … | activations | scratch of thread 0 | 1 | … |
 */

import {
  CONTEXT_BYTES,
  CONTEXT_CONTROL,
  CONTEXT_OPS,
  CONTEXT_SCRATCH,
  CONTEXT_SCRATCH_BYTES,
  CONTEXT_SIZES,
  DESCRIPTOR_BYTES,
  DESCRIPTOR_WORDS,
  INFERENCE_OPERATIONS,
} from '../abi/index.ts';
import { align } from '../runtime/allocator.ts';
import type { Engine } from '../runtime/engine.ts';
import type { FieldValue, Graph, Operation, Section } from './graph.ts';
import { placeActivations } from './memory-placement.ts';
import { isRegion, isStrided, ldOf, maxOf, type Region, type Size, type Tensor } from './tensor.ts';

/** How many bytes a graph needs, and for what. */
export interface PlanBytes {
  readonly descriptors: number;
  readonly regions: number;
  readonly activations: number;
  readonly scratch: number;
  readonly total: number;
}

/** Bytes that the plan of a graph takes, computed without allocating anything. */
export function measurePlan(graph: Graph, threads: number): PlanBytes {
  const descriptors = align(CONTEXT_BYTES + graph.operations.length * DESCRIPTOR_BYTES);
  const regions = graph.regions.reduce((sum, region) => sum + align(region.bytes), 0);
  const activations = placeActivations(graph.activations);
  const most = align(Math.max(0, ...graph.operations.map((operation) => operation.scratchBytes)));
  const scratch = threads === 1 ? most : threads * (CONTEXT_BYTES + most); // each thread keeps its own copy of the context
  return { descriptors, regions, activations, scratch, total: descriptors + regions + activations + scratch };
}

export class Plan {
  readonly operations: readonly Operation[];
  readonly bytes: PlanBytes;
  readonly #engine: Engine;
  readonly #context: number;
  readonly #activations: number;
  readonly #sections: ReadonlyMap<string, Section>;

  private constructor(engine: Engine, graph: Graph, bytes: PlanBytes, context: number) {
    this.#engine = engine;
    this.operations = graph.operations;
    this.bytes = bytes;
    this.#context = context;
    this.#activations = context + bytes.descriptors + bytes.regions;
    this.#sections = new Map(graph.sections.map((section) => [section.name, section]));
  }

  /**
   * Places a graph in an engine's memory. Regions of the graph get their addresses; every other region that an
   * operation names (parameters, caches) must have one already.
   * @throws MemoryError when it does not fit
   */
  static async compile(engine: Engine, graph: Graph, what = 'a plan'): Promise<Plan> {
    const { threads, control } = engine;
    if (graph.operations.some(({ opcode }) => !INFERENCE_OPERATIONS.has(opcode))) await engine.loadFull();
    const bytes = measurePlan(graph, threads);
    const context = await engine.allocate(bytes.total, what);
    const plan = new Plan(engine, graph, bytes, context);
    let address = context + bytes.descriptors;
    for (const region of graph.regions) {
      region.address = address;
      address += align(region.bytes);
      engine.write(region.address, new Uint8Array(region.bytes));
    }
    const words = new Int32Array(bytes.descriptors / 4);
    words[CONTEXT_OPS] = context + CONTEXT_BYTES;
    words[CONTEXT_SCRATCH] = context + bytes.total - bytes.scratch;
    words[CONTEXT_SCRATCH_BYTES] = bytes.scratch / threads;
    words[CONTEXT_CONTROL] = control;
    for (const size of graph.sizes) words[CONTEXT_SIZES + size.index] = size.max;
    graph.operations.forEach((operation, index) => {
      const at = CONTEXT_BYTES / 4 + index * DESCRIPTOR_WORDS;
      words[at] = operation.opcode;
      for (const [word, value] of operation.fields) words[at + word] = plan.#word(value);
    });
    engine.write(context, words);
    return plan;
  }

  /** The word for a field: itself, ~index of a dynamic size, or an address. */
  #word(value: FieldValue): number {
    if (typeof value === 'number') return value;
    if ('index' in value) return ~value.index;
    if ('storage' in value) return this.#address(value);
    return regionAddress(value);
  }

  #address({ storage, byteOffset }: Tensor): number {
    return (isRegion(storage) ? regionAddress(storage) : this.#activations + storage.offset) + byteOffset;
  }

  /** Sets how large a dynamic size is from now on. */
  setSize(size: Size, value: number): void {
    if (!(Number.isInteger(value) && value >= 0 && value <= size.max))
      throw new RangeError(`plan: expected ${size.name} from 0 to ${size.max}, got ${value}.`);
    this.#engine.write(this.#context + (CONTEXT_SIZES + size.index) * 4, new Int32Array([value]));
  }

  /** Fills a region, from its start or from element `first`. */
  write(region: Region, values: Int32Array | Uint32Array | Float32Array, first = 0): void {
    if (first * 4 + values.byteLength > region.bytes)
      throw new RangeError(
        `plan: expected at most ${region.bytes / 4} values for ${region.label}, got ${values.length}.`,
      );
    this.#engine.write(regionAddress(region) + first * 4, values);
  }

  /** The first `rows` rows of a tensor that was kept, or of a region's view: new memory, or the start of `into`. */
  async read(
    tensor: Tensor,
    rows: number = maxOf(tensor.rows),
    into?: Float32Array<ArrayBuffer>,
  ): Promise<Float32Array<ArrayBuffer>> {
    if (!isStrided(tensor)) return this.#engine.readF32(this.#address(tensor), rows * tensor.cols, into);
    const { cols } = tensor;
    const ld = ldOf(tensor);
    const spread = await this.#engine.readF32(this.#address(tensor), rows && (rows - 1) * ld + cols);
    const result = into ?? new Float32Array(rows * cols);
    for (let row = 0; row < rows; row++) result.set(spread.subarray(row * ld, row * ld + cols), row * cols);
    return result;
  }

  /** A region as floats: all of it, or the first `count`. */
  async readRegion(region: Region, count = region.bytes / 4): Promise<Float32Array<ArrayBuffer>> {
    return this.#engine.readF32(regionAddress(region), count);
  }

  /** Runs the named sections, which must follow each other; all operations when none is named. */
  async run(first?: string, last = first): Promise<void> {
    const start = first === undefined ? { first: 0 } : this.#section(first);
    const end = last === undefined ? { first: this.operations.length, count: 0 } : this.#section(last);
    await this.runOperations(start.first, end.first + end.count - start.first);
  }

  /** Runs some operations, wherever they stand. */
  async runOperations(first: number, count: number): Promise<void> {
    await this.#engine.run(this.#context, first, count);
  }

  #section(name: string): Section {
    const section = this.#sections.get(name);
    if (!section)
      throw new RangeError(`plan: expected one of the sections ${[...this.#sections.keys()].join(', ')}, got ${name}.`);
    return section;
  }

  /** Returns the memory. */
  dispose(): void {
    this.#engine.release(this.#context);
  }
}

function regionAddress(region: Region): number {
  if (region.address === undefined) throw new Error(`plan: region ${region.label} has no address yet`);
  return region.address;
}
