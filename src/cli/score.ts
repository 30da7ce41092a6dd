/** `lanewise score`: how well a model predicts a text, or rows of token ids. */
import { basename, dirname } from 'node:path';
import { type Command, Option } from 'commander';
import { ConfigError, DataError } from '../errors.ts';
import { scoreTokens, writeLogits } from '../evaluation/index.ts';
import { openDirectory } from '../files/index.ts';
import { loadModel } from '../generation/index.ts';
import { type CausalLM, loadCausalLM } from '../models/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { checkFolder, makeFolder } from './folders.ts';
import { addJsonOption, addLoadOptions, type LoadFlags, loadOptions } from './options.ts';
import { count, describeEngine, note, print, printJson } from './output.ts';
import { isIds, parseJsonText, readTextFiles } from './text-files.ts';

interface ScoreFlags extends LoadFlags {
  readonly text?: string;
  readonly ids?: string;
  readonly logitsOut?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function addScore(program: Command): void {
  const command = program
    .command('score')
    .description('loss, perplexity and the log-probability of each token')
    .argument('<dir>', 'model folder; with --ids it needs no tokenizer')
    .addOption(new Option('--text <file>', 'UTF-8 text to score').conflicts('ids'))
    .option('--ids <file>', 'JSON file of rows of token ids, [[…], …]; each row is scored on its own')
    .option('--logits-out <file>', 'also write the logits as safetensors: one F32 tensor `logits` [rows, T, V]')
    .option('--verbose', 'print the log-probability of each token');
  addLoadOptions(command);
  addJsonOption(
    command,
    'loss, perplexity, tokens, accuracy, logProbabilities (of each row’s second, third, … token), rows, threads, binary, …',
  );
  command
    .addHelpText(
      'after',
      `
A text longer than the model's context is cut into contexts that do not see each other. Losses are natural logarithms.

Example:
  lanewise score model --text chapter.txt
  lanewise score model --ids rows.json --logits-out logits.safetensors --json`,
    )
    .action(score);
}

async function score(dir: string, flags: ScoreFlags): Promise<void> {
  const { text, ids, logitsOut, json, verbose } = flags;
  if (text === undefined && ids === undefined)
    throw new ConfigError('expected --text FILE or --ids FILE.json, got neither. Say what to score.');
  const content = text === undefined ? undefined : await readTextFiles([text]);
  const given = ids === undefined ? undefined : await readRows(ids);
  if (logitsOut !== undefined) await checkFolder(dirname(logitsOut));
  const { model, tokenizer } = await load(dir, content !== undefined, loadOptions(flags));
  try {
    const rows = given ?? [tokenizer!.encode(content!)];
    const result = await scoreTokens(model, rows);
    if (logitsOut !== undefined) {
      await makeFolder(dirname(logitsOut));
      await writeLogits(model, rows, await openDirectory(dirname(logitsOut)), basename(logitsOut));
    }
    const { loss, perplexity, tokens, accuracy } = result;
    const { info } = model.engine;
    if (json) {
      const { threads, binary, precision, runtime } = info;
      printJson({
        loss,
        perplexity,
        tokens,
        accuracy,
        logProbabilities: result.logProbabilities.map((row) => [...row]),
        rows: rows.length,
        threads,
        binary,
        precision,
        dtype: model.dtype,
        runtime,
        ...(logitsOut !== undefined && { logits: logitsOut }),
      });
      return;
    }
    if (verbose) printTokens(rows, result.logProbabilities, tokenizer);
    print(`loss ${loss.toFixed(4)}  perplexity ${perplexity.toFixed(2)}  accuracy ${(100 * accuracy).toFixed(1)} %`);
    print(`${count(tokens)} predicted tokens`);
    if (process.stderr.isTTY) note(describeEngine(info));
  } finally {
    model.dispose();
  }
}

async function load(
  dir: string,
  needsTokenizer: boolean,
  options: LoadFlags,
): Promise<{ model: CausalLM; tokenizer?: Tokenizer }> {
  return needsTokenizer ? loadModel(dir, options) : { model: await loadCausalLM(dir, options) };
}

async function readRows(path: string): Promise<number[][]> {
  const rows = parseJsonText(await readTextFiles([path]), path);
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(isIds))
    throw new DataError(`${path}: expected rows of token ids such as [[464, 3290], [50256, 11]], got other JSON.`);
  return rows;
}

/** One line for each predicted token: row, position, id, log-probability, and the token as JSON text. */
function printTokens(
  rows: readonly ArrayLike<number>[],
  logProbabilities: readonly Float32Array[],
  tokenizer?: Tokenizer,
): void {
  rows.forEach((row, index) => {
    logProbabilities[index]!.forEach((value, i) => {
      const id = row[i + 1]!;
      const spelled = tokenizer ? `\t${JSON.stringify(tokenizer.decode([id]))}` : '';
      print(`${index}\t${i + 1}\t${id}\t${value.toFixed(4)}${spelled}`);
    });
  });
}
