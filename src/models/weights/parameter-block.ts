/** A model's parameters in linear memory: one block, laid out by its table. Reading and writing them: parameter-values.ts. */
import { CheckpointError, DisposedError } from '../../errors.ts';
import type { TensorDtype, Weights } from '../../formats/index.ts';
import { type Encoding, encodedShape } from '../../graph/encoding.ts';
import { type Parameter, type ParameterSpec, ParameterTable, productSize } from '../../graph/parameters.ts';
import type { Region } from '../../graph/tensor.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { TensorShape } from '../match-tensors.ts';
import { WeightEncoder } from './weight-encoder.ts';

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
    const block = await ParameterBlock.place(engine, new ParameterTable(specs, encoding), 'parameters');
    for (const { offset, bytes } of block.table.list)
      if (bytes % 64 > 0) engine.write(block.address + offset * 4 + bytes, new Uint8Array(64 - (bytes % 64)));
    return block;
  }

  /** A layout without memory. */
  static blueprint(specs: readonly ParameterSpec[], encoding: Encoding = 'f32'): ParameterBlock {
    return new ParameterBlock(undefined, new ParameterTable(specs, encoding), undefined, 'parameters');
  }

  /** A block whose content is undefined: recycled memory keeps its old values. */
  static async place(engine: Engine, table: ParameterTable, label: string): Promise<ParameterBlock> {
    // toLocaleString would load the host's number formats: 20 ms of a start that takes 150.
    const count = String(table.count).replace(/\B(?=(\d{3})+$)/g, ',');
    const address = await engine.allocate(table.blockSize * 4, `${label} (${count} values)`);
    return new ParameterBlock(engine, table, address, label);
  }

  /** @throws DisposedError for a layout without memory */
  get engine(): Engine {
    if (!this.#engine)
      throw new DisposedError(
        `${this.region.label}: expected a model with memory, got a blueprint. Use createModel or loadModel.`,
      );
    return this.#engine;
  }

  get address(): number {
    return this.region.address!;
  }

  /** Byte address of a parameter, or of one of its elements in f32. */
  addressOf({ offset }: Parameter, element = 0): number {
    return this.address + (offset + element) * 4;
  }

  /**
   * The memory of a parameter, when a tensor of `dtype` can be read into it as it is; undefined when it has to be converted, or the
   * host cannot read into linear memory.
   * @param stored as in `load`
   */
  place(name: string, dtype: TensorDtype, stored: boolean): Uint8Array<ArrayBuffer> | undefined {
    const parameter = this.table.get(name);
    const { encoding, bytes } = parameter;
    const isSame = stored && isStored(encoding) ? dtype === 'U8' : encoding === 'f32' && dtype === 'F32';
    return isSame ? this.engine.view(this.addressOf(parameter), bytes) : undefined;
  }

  /**
   * Streams one tensor of a file into its place, encoding it on the way.
   * @param stored whether the file is quantized: it then holds parameters in q8 or q4 byte for byte as this block does
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
        this.engine.write(this.addressOf(parameter) + offset, bytes),
      );
    } else if (encoding === 'f32') {
      await weights.stream(nameInFile, (values, element) =>
        this.engine.write(this.addressOf(parameter, element), values),
      );
    } else {
      const encoder = await WeightEncoder.create(this.engine, this.table, this.region, parameter);
      try {
        await weights.stream(nameInFile, (values) => encoder.write(values));
        await encoder.finish();
      } finally {
        encoder.dispose();
      }
    }
  }

  release(): void {
    this.engine.release(this.address);
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
