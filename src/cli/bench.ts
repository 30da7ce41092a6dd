/** `lanewise bench`: how fast this machine runs a model, where the time goes, and how two reports compare. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type BenchmarkEnvironment,
  type BenchmarkModelName,
  type BenchmarkOptions,
  type BenchmarkReport,
  benchmark,
  benchmarkModelNames,
  CHECKED_MODEL,
  checkReport,
  compareReports,
  DEFAULT_MODEL,
  EXPECTED_CHECKSUM,
  type Profile,
  type ProfileReport,
  type ProfileRow,
  profile,
  RUNS,
  WORKS,
  type WorkName,
  type WorkResult,
} from '../benchmark/index.ts';
import { ConfigError, DataError, EnvironmentError } from '../errors.ts';
import { openDirectory } from '../files/index.ts';
import {
  addDtypeOption,
  addEngineOptions,
  addJsonOption,
  engineOptions,
  type LoadFlags,
  wholeNumber,
} from './options.ts';
import { count, describeEngine, note, print, printJson } from './output.ts';
import { catchSignals, Interrupted } from './signals.ts';
import { parseJsonText, readTextFiles } from './text-files.ts';

interface BenchFlags extends Omit<LoadFlags, 'adapter'> {
  readonly model?: BenchmarkModelName;
  readonly only?: readonly WorkName[];
  readonly runs?: number;
  readonly profile?: boolean;
  readonly compare?: readonly string[];
  readonly json?: boolean;
}

export function addBench(program: Command): void {
  const command = program
    .command('bench')
    .description('measure how fast this machine runs a model')
    .argument('[dir]', 'model folder; without one the weights of --model are drawn')
    .addOption(
      new Option('--model <name>', `a size instead of a folder (default: ${DEFAULT_MODEL})`).choices(
        benchmarkModelNames(),
      ),
    )
    .option('--only <works>', `some of ${WORKS.join(',')} (default: all)`, parseWorks)
    .option('--runs <n>', 'runs of each work that count, after a warm-up (default: 5)', wholeNumber(...RUNS))
    .option('--profile', 'show where the time of pp512, tg128 and train goes, operation by operation')
    .addOption(
      new Option('--compare <reports...>', 'compare two files that --json wrote, without measuring').conflicts([
        'model',
        'only',
        'runs',
        'profile',
        'threads',
        'precision',
        'dtype',
      ]),
    );
  addDtypeOption(addEngineOptions(command));
  addJsonOption(command, 'works with every sample, checksum, model, threads, binary, cpu, …');
  command
    .addHelpText(
      'after',
      `
pp512 reads a prompt of 512 tokens, tg128 generates 128, batch8 generates 8 texts side by side, train takes a training step,
gemm multiplies matrices, memory reads memory, load loads the model, start starts a process and generates its first token.

Example:
  lanewise bench --model ${CHECKED_MODEL}
  lanewise bench model --dtype q8 --only pp512,tg128
  lanewise bench model --only pp512,tg128 --threads 1 --json > now.json
  lanewise bench --compare before.json now.json`,
    )
    .action(bench);
}

/** Works that load their weights. */
const NEED_FOLDER: readonly WorkName[] = ['pp512', 'tg128', 'batch8', 'load', 'start'];

function parseWorks(text: string): WorkName[] {
  const works = text.split(',') as WorkName[];
  if (!works.every((work) => WORKS.includes(work)))
    throw new InvalidArgumentError(`Expected some of ${WORKS.join(',')}, with commas between.`);
  return works;
}

async function bench(dir: string | undefined, flags: BenchFlags, command: Command): Promise<void> {
  const other = flags.compare ? '--compare' : flags.model && '--model';
  if (dir !== undefined && other)
    throw new ConfigError(`expected a folder or ${other}, got both, the folder being ${dir}. Leave one out.`);
  if (flags.compare) return compare(flags.compare, flags.json);
  const options = { ...engineOptions(flags), dtype: flags.dtype };
  const signals = catchSignals();
  // Drawn weights are saved and loaded like those of a folder. A gigabyte is left nowhere, however this ends.
  const needsFolder = dir === undefined && NEED_FOLDER.some((work) => wants(flags, work));
  const scratch = needsFolder ? await mkdtemp(join(tmpdir(), 'lanewise-bench-')) : undefined;
  try {
    const benchmarkOptions: BenchmarkOptions = {
      ...options,
      model: flags.model,
      source: dir,
      only: flags.only,
      runs: flags.runs,
      host: { lanewise: command.parent?.version(), cpu: cpus()[0]?.model.trim() || 'unknown' },
      scratch: scratch === undefined ? undefined : await openDirectory(scratch),
      coldStart: () => startProcess((dir ?? scratch)!, flags, signals.signal),
      signal: signals.signal,
    };
    await (flags.profile ? showProfiles : showWorks)(benchmarkOptions, flags.json);
  } catch (error) {
    throw error instanceof Interrupted ? new Interrupted('stopped.') : error;
  } finally {
    signals.release();
    if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
  }
}

function wants({ only = WORKS }: BenchFlags, work: WorkName): boolean {
  return only.includes(work);
}

/** Milliseconds from starting a program to the first token of a model folder. */
function startProcess(folder: string, flags: BenchFlags, signal: AbortSignal): Promise<number> {
  const program = fileURLToPath(new URL('./first-token.js', import.meta.url));
  const options = { ...engineOptions(flags), dtype: flags.dtype };
  const args = [...process.execArgv, program, folder, JSON.stringify(options)];
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let milliseconds = Number.NaN;
    let said = '';
    child.stdout.once('data', () => {
      milliseconds = performance.now() - started;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    child.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    child.on('close', (code, killer) => {
      if (code === 0 && milliseconds > 0) return resolve(milliseconds);
      const found = said.trim().replace(/\.$/, '') || `its end with ${killer ?? `code ${code}`}`;
      reject(
        new EnvironmentError(
          `start: expected a first token of a new process, got ${found}. Leave start out of --only.`,
        ),
      );
    });
  });
}

// ── Works ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function showWorks(options: BenchmarkOptions, json = false): Promise<void> {
  // Rows appear as works finish; with --json stdout is for the report alone.
  const show = json ? note : print;
  const run = benchmark(options);
  let next = await run.next();
  show(workRow('work', 'median', 'minimum', 'maximum', 'unit'));
  for (; !next.done; next = await run.next()) show(describeWork(next.value));
  const report = next.value;
  if (json) return printJson({ date: new Date().toISOString(), ...report });
  print('');
  print(describeEnvironment(report));
  print(describeAnswers(report));
}

function workRow(name: string, median: string, minimum: string, maximum: string, unit: string): string {
  return `${name.padEnd(14)}${[median, minimum, maximum].map((cell) => cell.padStart(11)).join('')}  ${unit}`;
}

function describeWork(work: WorkResult): string {
  if ('skipped' in work) return `${work.name.padEnd(14)}  skipped: ${work.skipped}`;
  const { name, median, minimum, maximum, unit } = work;
  return workRow(name, figure(median), figure(minimum), figure(maximum), unit);
}

/** Four digits, or all in front of the point. */
function figure(value: number): string {
  return value >= 1000 ? count(value) : value.toPrecision(4);
}

function describeEnvironment(environment: BenchmarkEnvironment): string {
  const { lanewise, model, parameters, dtype, cpu, cores } = environment;
  const subject = `${model}, ${count(parameters)} parameters in ${dtype}; lanewise ${lanewise}: ${describeEngine(environment)}`;
  return `${subject}; ${cpu}, ${cores} core${cores === 1 ? '' : 's'}`;
}

function describeAnswers({ checksum, isExpected, precision, deviation }: BenchmarkReport): string {
  const exact = isExpected ? 'as on every machine' : `but ${EXPECTED_CHECKSUM} is right: this machine computes wrongly`;
  const fast = precision === 'exact' ? '' : `; fast ones are off by ${deviation.toExponential(1)} of the largest logit`;
  return `checksum of exact answers ${checksum}, ${exact}${fast}`;
}

// ── Comparing ───────────────────────────────────────────────────────────────────────────────────────────────────

async function compare(paths: readonly string[], json = false): Promise<void> {
  if (paths.length !== 2)
    throw new ConfigError(`expected --compare with two files, got ${paths.length}. Name the older one first.`);
  const [a, b] = (await Promise.all(paths.map(readReport))) as [BenchmarkReport, BenchmarkReport];
  const works = compareReports(a, b);
  if (works.length === 0)
    throw new DataError(
      `${paths.join(', ')}: expected reports with a work in common, got none. Measure the same works.`,
    );
  if (json) return printJson({ works });
  print(`a  ${paths[0]}: ${describeEnvironment(a)}`);
  print(`b  ${paths[1]}: ${describeEnvironment(b)}`);
  if (a.checksum !== b.checksum) print(`Exact answers differ: checksum ${a.checksum} and ${b.checksum}`);
  print('');
  const row = (name: string, a: string, b: string, unit: string, ratio: string, range: string) =>
    `${name.padEnd(14)}${a.padStart(11)}${b.padStart(11)}  ${unit.padEnd(10)}${ratio.padStart(8)}  ${range}`;
  print(row('work', 'a', 'b', 'unit', 'b is', 'as fast as a; from … to'));
  for (const { name, unit, a, b, ratio, low, high } of works) {
    const range = `${low.toFixed(2)} … ${high.toFixed(2)}`;
    print(row(name, figure(a.median), figure(b.median), unit, `${ratio.toFixed(2)} ×`, range));
  }
}

async function readReport(path: string): Promise<BenchmarkReport> {
  return checkReport(parseJsonText(await readTextFiles([path]), path), path);
}

// ── Profiles ────────────────────────────────────────────────────────────────────────────────────────────────────

async function showProfiles(options: BenchmarkOptions, json = false): Promise<void> {
  const run = profile(options);
  let next = await run.next();
  for (; !next.done; next = await run.next()) if (!json) describeProfile(next.value);
  const report: ProfileReport = next.value;
  if (json) printJson({ date: new Date().toISOString(), ...report });
  else print(describeEnvironment(report));
}

function describeProfile({ name, detail, milliseconds, operationMilliseconds, kinds, groups }: Profile): void {
  print(`${name}: ${detail}`);
  print(`${figure(milliseconds)} ms in one run, ${figure(operationMilliseconds)} ms operation by operation`);
  for (const [title, rows] of [
    ['kind', kinds],
    ['label', groups],
  ] as const) {
    print('');
    print(profileRow(title, ['ops', 'ms', 'share', 'GFLOP/s', 'GB/s']));
    for (const row of withoutCrumbs(rows)) {
      const share = `${(100 * row.share).toFixed(1)} %`;
      const gflops = row.gflops > 0 ? figure(row.gflops) : '';
      const cells = [count(row.operations), figure(row.milliseconds), share, gflops, figure(row.gigabytes)];
      print(profileRow(row.name, cells));
    }
  }
  print('');
}

function profileRow(name: string, cells: readonly string[]): string {
  return name.padEnd(44) + cells.map((cell) => cell.padStart(9)).join('');
}

/** Rows below this share of the time are shown as one. */
const CRUMB = 0.005;

function withoutCrumbs(rows: readonly ProfileRow[]): ProfileRow[] {
  const [shown, crumbs] = [rows.filter(({ share }) => share >= CRUMB), rows.filter(({ share }) => share < CRUMB)];
  if (crumbs.length < 2) return [...rows];
  const sum = (of: (row: ProfileRow) => number) => crumbs.reduce((total, row) => total + of(row), 0);
  const milliseconds = sum((row) => row.milliseconds);
  return [
    ...shown,
    {
      name: `${crumbs.length} others`,
      operations: sum(({ operations }) => operations),
      milliseconds,
      share: sum(({ share }) => share),
      gflops: sum((row) => row.gflops * row.milliseconds) / milliseconds,
      gigabytes: sum((row) => row.gigabytes * row.milliseconds) / milliseconds,
    },
  ];
}
