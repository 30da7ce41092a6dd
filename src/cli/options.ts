/** Option values as text → checked values, and the options that several verbs share. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DTYPES, type Dtype } from '../models/index.ts';
import { MAX_THREADS } from '../runtime/backend.ts';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A parser of numbers from `least` to `most`. */
export function number(least: number, most = Number.MAX_VALUE): (text: string) => number {
  return (text) => {
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most))
      throw new InvalidArgumentError(`Expected a number ${range(least, most, Number.MAX_VALUE)}.`);
    return value;
  };
}

/** A parser of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    if (!(Number.isSafeInteger(value) && value >= least && value <= most))
      throw new InvalidArgumentError(`Expected a whole number ${range(least, most, Number.MAX_SAFE_INTEGER)}.`);
    return value;
  };
}

function range(least: number, most: number, unbounded: number): string {
  return most === unbounded ? `of ${least} or more` : `from ${least} to ${most}`;
}

/** A parser that collects the values of an option that is given several times. */
export function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

/** How the kernels run: options of every verb that computes. */
export interface EngineFlags {
  readonly threads?: number;
  readonly precision?: 'exact' | 'fast';
}

/** Adds `--threads` and `--precision`. */
export function addEngineOptions(command: Command): Command {
  return command
    .option('--threads <n>', 'threads, at most 256 (default: the machine’s, at most 16)', wholeNumber(1, MAX_THREADS))
    .addOption(
      new Option('--precision <kind>', 'exact: the same bits on every machine; fast: relaxed SIMD where it works')
        .choices(['exact', 'fast'])
        .default('fast'),
    );
}

/** The engine options among the flags of a verb. */
export function engineOptions({ threads, precision }: EngineFlags): EngineFlags {
  return { ...(threads !== undefined && { threads }), ...(precision !== undefined && { precision }) };
}

/** How a model is loaded: options of the verbs that only read one. */
export interface LoadFlags extends EngineFlags {
  readonly dtype?: Dtype;
  readonly adapter?: string;
}

/** Adds `--adapter`, `--threads`, `--precision` and `--dtype`. */
export function addLoadOptions(command: Command): Command {
  command.option('--adapter <dir>', 'put the LoRA adapters of this folder on the model');
  return addDtypeOption(addEngineOptions(command));
}

/** Adds `--dtype`. */
export function addDtypeOption(command: Command): Command {
  return command.addOption(
    new Option('--dtype <type>', 'how weights lie in memory (default: as stored if quantized, else f32)').choices(
      DTYPES,
    ),
  );
}

/** The options of loading among the flags of a verb. */
export function loadOptions({ dtype, adapter, ...flags }: LoadFlags): LoadFlags {
  const given = { ...(dtype !== undefined && { dtype }), ...(adapter !== undefined && { adapter }) };
  return { ...engineOptions(flags), ...given };
}

/** Adds `--json`. */
export function addJsonOption(command: Command, fields: string): Command {
  return command.option('--json', `end stdout with one line of JSON: ${fields}`);
}
