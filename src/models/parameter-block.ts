/** A model's parameters in linear memory: one block, laid out by its table. */
import { ConfigError, DisposedError } from '../errors.ts';
import type { TensorEntry, Weights } from '../formats/index.ts';
import { f32Word, Graph } from '../graph/graph.ts';
import * as op from '../graph/opcodes.ts';
import { type Parameter, type ParameterSpec, ParameterTable } from '../graph/parameters.ts';
import { Plan } from '../graph/plan.ts';
import type { Region } from '../graph/tensor.ts';
import type { Engine } from '../runtime/engine.ts';

/** Values that are copied out of linear memory at a time: 4 MiB. */
const PIECE_VALUES = 1 << 20;

export class ParameterBlock {
  readonly table: ParameterTable;
  readonly region: Region;
  readonly #engine: Engine | undefined;

  private constructor(engine: Engine | undefined, table: ParameterTable, address: number | undefined, label: string) {
    this.#engine = engine;
    this.table = table;
    this.region = { label, bytes: table.blockSize * 4, address };
  }

  /** @throws MemoryError when the parameters do not fit in linear memory */
  static async allocate(engine: Engine, specs: readonly ParameterSpec[]): Promise<ParameterBlock> {
    return ParameterBlock.like(engine, new ParameterTable(specs), 'parameters');
  }

  /** A layout without memory. */
  static blueprint(specs: readonly ParameterSpec[]): ParameterBlock {
    return new ParameterBlock(undefined, new ParameterTable(specs), undefined, 'parameters');
  }

  /** A zeroed block of the same layout: gradients, moments. */
  static async like(engine: Engine, table: ParameterTable, label: string): Promise<ParameterBlock> {
    const address = await engine.allocate(
      table.blockSize * 4,
      `${label} (${table.count.toLocaleString('en-US')} values)`,
    );
    const block = new ParameterBlock(engine, table, address, label);
    block.clear();
    return block;
  }

  get #memory(): { engine: Engine; address: number } {
    if (!this.#engine || this.region.address === undefined)
      throw new DisposedError(
        `${this.region.label}: expected a block with memory, got a blueprint. Use create or loadModel.`,
      );
    return { engine: this.#engine, address: this.region.address };
  }

  /** Zeroes everything: recycled memory holds old values, and the padding between parameters takes part in sums. */
  clear(): void {
    const { engine, address } = this.#memory;
    const { blockSize } = this.table;
    const zeros = new Float32Array(Math.min(PIECE_VALUES, blockSize));
    for (let at = 0; at < blockSize; at += PIECE_VALUES)
      engine.write(address + at * 4, zeros.subarray(0, Math.min(PIECE_VALUES, blockSize - at)));
  }

  #addressOf(parameter: Parameter, element = 0): number {
    return this.#memory.address + (parameter.offset + element) * 4;
  }

  async read(name: string): Promise<Float32Array> {
    const parameter = this.table.get(name);
    return this.#memory.engine.readF32(this.#addressOf(parameter), parameter.size);
  }

  write(name: string, values: Float32Array): void {
    const parameter = this.table.get(name);
    if (values.length !== parameter.size)
      throw new ConfigError(
        `${name}: expected ${parameter.size} values of shape [${parameter.shape.join(', ')}], got ${values.length}.`,
      );
    this.#memory.engine.write(this.#addressOf(parameter), values);
  }

  /** Streams one tensor of a file into its place. */
  async load(name: string, weights: Weights, nameInFile: string): Promise<void> {
    const parameter = this.table.get(name);
    await weights.stream(nameInFile, (values, element) =>
      this.#memory.engine.write(this.#addressOf(parameter, element), values),
    );
  }

  /** The values of a parameter, piece by piece. */
  async *pieces(parameter: Parameter): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < parameter.size; at += PIECE_VALUES) {
      const values = await this.#memory.engine.readF32(
        this.#addressOf(parameter, at),
        Math.min(PIECE_VALUES, parameter.size - at),
      );
      yield new Uint8Array(values.buffer);
    }
  }

  release(): void {
    this.#memory.engine.release(this.#memory.address);
  }
}

/** A parameter as a tensor to be written to a file. */
export function entryOf(block: ParameterBlock, parameter: Parameter, name = parameter.name): TensorEntry {
  return { name, dtype: 'F32', shape: parameter.shape, chunks: () => block.pieces(parameter) };
}

/** Fills a block by each parameter's initializer; parameter i draws from stream i of the seed. */
export async function initialize(engine: Engine, block: ParameterBlock, seed: number): Promise<void> {
  const graph = new Graph({ table: block.table, weights: block.region });
  const key = graph.region('seed', 3);
  block.table.list.forEach((parameter, stream) => {
    const out = block.table.tensor(block.region, parameter.name);
    const { init, size } = parameter;
    if (init.kind === 'normal')
      graph.record({
        opcode: op.OP_RANDOM_NORMAL,
        label: parameter.name,
        fields: [
          [op.RANDOM_NORMAL_OUT, out],
          [op.RANDOM_NORMAL_COUNT, size],
          [op.RANDOM_NORMAL_STD, f32Word(init.std)],
          [op.RANDOM_NORMAL_SEED, key],
          [op.RANDOM_NORMAL_STREAM, stream],
        ],
      });
    else
      graph.record({
        opcode: op.OP_FILL,
        label: parameter.name,
        fields: [
          [op.FILL_OUT, out],
          [op.FILL_ROWS, 1],
          [op.FILL_COLS, size],
          [op.FILL_VALUE, f32Word(init.value)],
        ],
      });
  });
  const plan = await Plan.compile(engine, graph, 'initialization');
  plan.write(key, new Uint32Array([seed % 2 ** 32, Math.floor(seed / 2 ** 32), 0]));
  await plan.run();
  plan.dispose();
}
