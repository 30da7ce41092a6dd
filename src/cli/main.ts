#!/usr/bin/env node
/**
 * The command `lanewise`. Exit codes: 0 done; 2 something that the user can correct, said in one line; 130 interrupted;
 * 1 an error of this program itself, with its stack when LANEWISE_DEBUG=1.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EngineError, LanewiseError } from '../errors.ts';
import { addBench } from './bench.ts';
import { addGenerate } from './generate.ts';
import { addInfo } from './info.ts';
import { addMerge } from './merge.ts';
import { note } from './output.ts';
import { addQuantize } from './quantize.ts';
import { addScore } from './score.ts';
import { Interrupted } from './signals.ts';
import { addTokenize } from './tokenize.ts';
import { addTrain } from './train.ts';

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
for (const add of [addTrain, addGenerate, addScore, addInfo, addTokenize, addQuantize, addMerge, addBench])
  add(program);

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
  const verb = program.commands.find((command) => command.name() === process.argv[2])?.name();
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
  const message = error instanceof Error ? error.message : String(error);
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
