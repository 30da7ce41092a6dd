/** One encoded parameter, written as floats in the order of files, some rows at a time. */

import * as op from '../../abi/index.ts';
import { CheckpointError } from '../../errors.ts';
import { encodingCode } from '../../graph/encoding.ts';
import { Graph } from '../../graph/graph.ts';
import { type Parameter, type ParameterTable, productSize } from '../../graph/parameters.ts';
import { Plan } from '../../graph/plan.ts';
import type { Region, Size } from '../../graph/tensor.ts';
import type { Engine } from '../../runtime/engine.ts';

/** Floats that wait in linear memory: about 2 MiB, and at least what one run of the kernel takes. */
const STAGED_VALUES = 1 << 19;

/** A plan that encodes or decodes some rows of a parameter. */
export interface CodingPlan {
  readonly plan: Plan;
  /** Which rows the next run codes. */
  readonly first: Size;
  readonly count: Size;
  /** Their floats. */
  readonly staging: Region;
  /** Not 0 once a value had no place in the encoding. */
  readonly fault: Region;
}

/** @param opcode OP_ENCODE or OP_DECODE, whose descriptors are alike */
export async function codingPlan(
  opcode: number,
  engine: Engine,
  table: ParameterTable,
  weights: Region,
  parameter: Parameter,
): Promise<CodingPlan> {
  const [rows, cols] = parameter.shape as [number, number];
  const rowsAreSteps = parameter.product === 'in-out'; // else they are columns
  const quantum = rowsAreSteps ? op.Q8_BLOCK : op.ENCODING_COLUMNS;
  const most = Math.min(rows, Math.max(1, Math.floor(STAGED_VALUES / cols / quantum)) * quantum);
  const graph = new Graph({ table, weights });
  const staging = graph.region('staged rows', most * cols);
  const fault = graph.region('fault', 1);
  const first = graph.size('first row', rows);
  const count = graph.size('rows', most);
  const encoded = table.tensor(weights, parameter.name);
  const encode = opcode === op.OP_ENCODE;
  const { inputs } = productSize(parameter);
  graph.record({
    opcode,
    label: parameter.name,
    fields: [
      [op.ENCODE_OUT, encode ? encoded : staging],
      [op.ENCODE_INP, encode ? staging : encoded],
      [op.ENCODE_STEP_STRIDE, rowsAreSteps ? cols : 1],
      [op.ENCODE_COLUMN_STRIDE, rowsAreSteps ? 1 : cols],
      [op.ENCODE_FIRST_STEP, rowsAreSteps ? first : 0],
      [op.ENCODE_STEPS, rowsAreSteps ? count : cols],
      [op.ENCODE_FIRST_COLUMN, rowsAreSteps ? 0 : first],
      [op.ENCODE_COLUMNS, rowsAreSteps ? cols : count],
      [op.ENCODE_K, inputs],
      [op.ENCODE_ENCODING, encodingCode(parameter.encoding)],
      [op.ENCODE_FAULT, fault],
    ],
    scratchBytes: op.ENCODE_SCRATCH_BYTES,
  });
  const plan = await Plan.compile(engine, graph, `staging for ${parameter.name}`);
  return { plan, first, count, staging, fault };
}

export class WeightEncoder {
  readonly #parameter: Parameter;
  readonly #plan: Plan;
  readonly #first: Size;
  readonly #count: Size;
  readonly #staging: Region;
  readonly #fault: Region;
  readonly #cols: number;
  /** The next row in file order. */
  #row = 0;
  /** Values that wait. */
  #staged = 0;

  private constructor(parameter: Parameter, { plan, first, count, staging, fault }: CodingPlan) {
    this.#parameter = parameter;
    this.#plan = plan;
    this.#first = first;
    this.#count = count;
    this.#staging = staging;
    this.#fault = fault;
    this.#cols = parameter.shape[1]!;
  }

  static async create(engine: Engine, table: ParameterTable, weights: Region, parameter: Parameter) {
    return new WeightEncoder(parameter, await codingPlan(op.OP_ENCODE, engine, table, weights, parameter));
  }

  /** Takes the next values. All of them must come, in order. */
  async write(values: Float32Array): Promise<void> {
    const room = this.#count.max * this.#cols;
    for (let at = 0; at < values.length; ) {
      const piece = values.subarray(at, at + room - this.#staged);
      this.#plan.write(this.#staging, piece, this.#staged);
      at += piece.length;
      this.#staged += piece.length;
      const rows = this.#staged / this.#cols;
      if (rows === this.#count.max || this.#row + rows === this.#parameter.shape[0]) await this.#run(rows);
    }
  }

  /**
   * Says that all values were given.
   * @throws CheckpointError when one of them has no place in the encoding
   */
  async finish(): Promise<void> {
    const [fault] = new Int32Array((await this.#plan.readRegion(this.#fault)).buffer);
    const { name, encoding } = this.#parameter;
    if (!fault) return;
    const limit = encoding === 'f16' ? ' of at most 65,504' : '';
    throw new CheckpointError(
      `${name}: expected finite values${limit} for dtype ${encoding}, got others. Load the model as f32, or repair its weights.`,
    );
  }

  async #run(rows: number): Promise<void> {
    this.#plan.setSize(this.#first, this.#row);
    this.#plan.setSize(this.#count, rows);
    await this.#plan.run();
    this.#row += rows;
    this.#staged = 0;
  }

  dispose(): void {
    this.#plan.dispose();
  }
}
