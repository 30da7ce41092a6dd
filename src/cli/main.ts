#!/usr/bin/env node
/**
 * The command `lanewise`. Exit codes: 0 done; 2 something that the user can correct, said in one line; 130 interrupted;
 * 1 an error of this program itself, with its stack when LANEWISE_DEBUG=1.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EngineError, LanewiseError } from '../errors.ts';
import { note } from './output.ts';
import { Interrupted } from './signals.ts';

/** What each verb adds to the program. Only the one that is asked for is loaded; help of the whole program needs all. */
const VERBS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  train: async () => (await import('./train.ts')).addTrain,
  generate: async () => (await import('./generate.ts')).addGenerate,
  score: async () => (await import('./score.ts')).addScore,
  info: async () => (await import('./info.ts')).addInfo,
  tokenize: async () => (await import('./tokenize.ts')).addTokenize,
  quantize: async () => (await import('./quantize.ts')).addQuantize,
  merge: async () => (await import('./merge.ts')).addMerge,
  bench: async () => (await import('./bench.ts')).addBench,
};

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const program = new Command('lanewise')
  .description('Train, run and measure GPT models on plain CPUs.')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => {} })
  .addHelpText(
    'after',
    '\nExample:\n  lanewise train --data book.txt --out model\n  lanewise generate model --prompt "Once upon a time"',
  );
const verb = Object.hasOwn(VERBS, process.argv[2] ?? '') ? process.argv[2] : undefined;
for (const load of verb === undefined ? Object.values(VERBS) : [VERBS[verb]!]) (await load())(program);

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

try {
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong in one line; returns the exit code. */
function report(error: unknown): number {
  const name = verb ? `lanewise ${verb}` : 'lanewise';
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help, --version
    return fail(`${name}: ${error.message.replace(/^error: /, '')} (see ${name} --help)`, 2);
  }
  if (error instanceof Interrupted) return fail(`${name}: ${error.message}`, 130);
  if (process.env.LANEWISE_DEBUG === '1') {
    note(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return isUsers(error) ? 2 : 1;
  }
  // Errors of the API that name a function of the verb's name need not say it twice.
  const text = error instanceof Error ? error.message : String(error);
  const message = text.startsWith(`${verb}: `) ? text.slice(`${verb}: `.length) : text;
  if (isUsers(error)) return fail(`${name}: ${message}`, 2);
  return fail(`${name}: internal error: ${message} (LANEWISE_DEBUG=1 shows where)`, 1);
}

/** Errors of this package speak of what was expected; others are bugs, and so is a thread that ended in one. */
function isUsers(error: unknown): boolean {
  if (error instanceof EngineError) return false;
  if (error instanceof LanewiseError) return true;
  return (error instanceof TypeError || error instanceof RangeError) && error.message.includes(': expected ');
}

function fail(message: string, code: number): number {
  note(message.replace(/\s*\n\s*/g, ' '));
  return code;
}
