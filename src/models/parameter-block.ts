/** A model's parameters in linear memory: one block, laid out by its table. */
import { CheckpointError, ConfigError, DisposedError } from '../errors.ts';
import type { TensorShape, Weights } from '../formats/index.ts';
import { type Encoding, encodedShape } from '../graph/encoding.ts';
import { type Parameter, type ParameterSpec, ParameterTable, productSize } from '../graph/parameters.ts';
import type { Region } from '../graph/tensor.ts';
import type { Engine } from '../runtime/engine.ts';
import { WeightCoder } from './weight-coder.ts';

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

  /**
   * A block for values that are about to be written: only what lies between them is zeroed.
   * @throws MemoryError when the parameters do not fit in linear memory
   */
  static async allocate(
    engine: Engine,
    specs: readonly ParameterSpec[],
    encoding: Encoding = 'f32',
  ): Promise<ParameterBlock> {
    const block = await ParameterBlock.#allocate(engine, new ParameterTable(specs, encoding), 'parameters');
    for (const { offset, bytes } of block.table.list)
      if (bytes % 64 > 0) engine.write(block.#memory.address + offset * 4 + bytes, new Uint8Array(64 - (bytes % 64)));
    return block;
  }

  /** A layout without memory. */
  static blueprint(specs: readonly ParameterSpec[], encoding: Encoding = 'f32'): ParameterBlock {
    return new ParameterBlock(undefined, new ParameterTable(specs, encoding), undefined, 'parameters');
  }

  /** A zeroed block of the same layout: gradients, moments. */
  static async like(engine: Engine, table: ParameterTable, label: string): Promise<ParameterBlock> {
    const block = await ParameterBlock.#allocate(engine, table, label);
    await block.clear();
    return block;
  }

  static async #allocate(engine: Engine, table: ParameterTable, label: string): Promise<ParameterBlock> {
    // toLocaleString would load the host's number formats: 20 ms of a start that takes 150.
    const count = String(table.count).replace(/\B(?=(\d{3})+$)/g, ',');
    const address = await engine.allocate(table.blockSize * 4, `${label} (${count} values)`);
    return new ParameterBlock(engine, table, address, label);
  }

  get #memory(): { engine: Engine; address: number } {
    if (!this.#engine || this.region.address === undefined)
      throw new DisposedError(
        `${this.region.label}: expected a block with memory, got a blueprint. Use create or loadModel.`,
      );
    return { engine: this.#engine, address: this.region.address };
  }

  /** Zeroes everything: recycled memory holds old values, and the padding between parameters takes part in sums. */
  async clear(): Promise<void> {
    const { engine, address } = this.#memory;
    const { blockSize } = this.table;
    const zeros = new Float32Array(Math.min(PIECE_VALUES, blockSize));
    for (let at = 0; at < blockSize; at += PIECE_VALUES)
      await engine.write(address + at * 4, zeros.subarray(0, Math.min(PIECE_VALUES, blockSize - at)));
  }

  #addressOf(parameter: Parameter, element = 0): number {
    return this.#memory.address + (parameter.offset + element) * 4;
  }

  /** Gives a coder to `use`, and its memory back. */
  async #coded<T>(parameter: Parameter, direction: 'encode' | 'decode', use: (coder: WeightCoder) => Promise<T>) {
    const coder = await WeightCoder.create(this.#memory.engine, this.table, this.region, parameter, direction);
    try {
      return await use(coder);
    } finally {
      coder.dispose();
    }
  }

  async read(name: string): Promise<Float32Array> {
    const parameter = this.table.get(name);
    const values = new Float32Array(parameter.size);
    let at = 0;
    for await (const piece of this.values(parameter)) {
      values.set(piece, at);
      at += piece.length;
    }
    return values;
  }

  async write(name: string, values: Float32Array): Promise<void> {
    const parameter = this.table.get(name);
    if (values.length !== parameter.size)
      throw new ConfigError(
        `${name}: expected ${parameter.size} values of shape [${parameter.shape.join(', ')}], got ${values.length}.`,
      );
    if (parameter.encoding === 'f32') return this.#memory.engine.write(this.#addressOf(parameter), values);
    await this.#coded(parameter, 'encode', async (coder) => {
      await coder.write(values);
      await coder.finish();
    });
  }

  /**
   * Streams one tensor of a file into its place, encoding it on the way.
   * @param stored whether the file is quantized, so that what this block keeps as q8 or q4 lies there as it lies here
   * @throws CheckpointError when it holds values that the encoding has no place for
   */
  async load(name: string, weights: Weights, nameInFile: string, stored = false): Promise<void> {
    const parameter = this.table.get(name);
    const { encoding } = parameter;
    if (stored && isStored(encoding)) {
      const { dtype, file } = weights.info(nameInFile);
      if (dtype !== 'U8')
        throw new CheckpointError(
          `${file}: expected ${nameInFile} as U8, since config.json says ${encoding}, got ${dtype}. Quantize the model again.`,
          { file },
        );
      await weights.streamBytes(nameInFile, (bytes, offset) =>
        this.#memory.engine.write(this.#addressOf(parameter) + offset, bytes),
      );
    } else if (encoding === 'f32') {
      await weights.stream(nameInFile, (values, element) =>
        this.#memory.engine.write(this.#addressOf(parameter, element), values),
      );
    } else {
      await this.#coded(parameter, 'encode', async (coder) => {
        await weights.stream(nameInFile, (values) => coder.write(values));
        await coder.finish();
      });
    }
  }

  /** The values of a parameter in file order, piece by piece. */
  async *values(parameter: Parameter): AsyncGenerator<Float32Array<ArrayBuffer>> {
    if (parameter.encoding !== 'f32') {
      const { engine } = this.#memory;
      const coder = await WeightCoder.create(engine, this.table, this.region, parameter, 'decode');
      try {
        yield* coder.read();
      } finally {
        coder.dispose();
      }
      return;
    }
    for (let at = 0; at < parameter.size; at += PIECE_VALUES)
      yield await this.#memory.engine.readF32(
        this.#addressOf(parameter, at),
        Math.min(PIECE_VALUES, parameter.size - at),
      );
  }

  /** The bytes of a parameter as they lie in memory, piece by piece. */
  async *bytes(parameter: Parameter): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < parameter.bytes; at += PIECE_VALUES * 4) {
      const count = Math.min(PIECE_VALUES, (parameter.bytes - at) / 4);
      yield new Uint8Array((await this.#memory.engine.readF32(this.#addressOf(parameter) + at, count)).buffer);
    }
  }

  /** CRC-32 of the bytes of all parameters, in order. */
  async checksum(): Promise<number> {
    const { crc32 } = await import('../formats/crc32.ts');
    let crc = 0;
    for (const parameter of this.table.list) for await (const bytes of this.bytes(parameter)) crc = crc32(bytes, crc);
    return crc;
  }

  release(): void {
    this.#memory.engine.release(this.#memory.address);
  }
}

/** Whether files hold an encoding as it lies in memory. */
export function isStored(encoding: Encoding): encoding is 'q8' | 'q4' {
  return encoding === 'q8' || encoding === 'q4';
}

/** The shape that a parameter has in files: quantized ones hold it as it lies in memory. */
export function shapeInFile(parameter: Parameter): readonly number[] {
  if (!isStored(parameter.encoding)) return parameter.shape;
  const { inputs, outputs } = productSize(parameter);
  return encodedShape(parameter.encoding, inputs, outputs);
}

/** Names and shapes of a model's tensors in files: of quantized ones when the table is. */
export function tensorsInFile({ list }: ParameterTable): TensorShape[] {
  return list.map((parameter) => ({ name: parameter.name, shape: shapeInFile(parameter) }));
}
