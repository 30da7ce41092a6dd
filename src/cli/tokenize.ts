/** `lanewise tokenize`: text to token ids, and back. */
import type { Command } from 'commander';
import { DataError } from '../errors.ts';
import { loadTokenizer } from '../generation/index.ts';
import { printJson } from './output.ts';
import { isIds, parseJsonText, readStdin, readTextFiles } from './text-files.ts';

interface TokenizeFlags {
  readonly text?: string;
  readonly decode?: boolean;
}

export function addTokenize(program: Command): void {
  program
    .command('tokenize')
    .description('text to a JSON line of token ids, or with --decode back')
    .argument('<dir>', 'folder with tokenizer.json, or vocab.json and merges.txt')
    .option('--text <file>', 'read this file instead of stdin')
    .option('--decode', 'read a JSON array of ids and write the text, exactly and without a newline at the end')
    .addHelpText(
      'after',
      '\nExample:\n  echo "Call me Ishmael." | lanewise tokenize model\n  echo "[262, 995]" | lanewise tokenize model --decode',
    )
    .action(tokenize);
}

async function tokenize(dir: string, { text, decode }: TokenizeFlags): Promise<void> {
  const tokenizer = await loadTokenizer(dir);
  const input = text === undefined ? await readStdin() : await readTextFiles([text]);
  if (!decode) {
    printJson(Array.from(tokenizer.encode(input)));
    return;
  }
  const where = text ?? 'stdin';
  const ids = parseJsonText(input, where);
  if (!isIds(ids))
    throw new DataError(`${where}: expected a JSON array of token ids such as [464, 3290], got other JSON.`);
  process.stdout.write(tokenizer.decode(ids));
}
