/** `lanewise generate`: continue a text with a model. */
import { type Command, Option } from 'commander';
import { loadModel } from '../generation/index.ts';
import { addJsonOption, addLoadOptions, collect, type LoadFlags, loadOptions, number, wholeNumber } from './options.ts';
import { count, describeEngine, note, printJson } from './output.ts';

interface GenerateFlags extends LoadFlags {
  readonly prompt: string;
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly cacheDtype?: 'f32' | 'bf16';
  readonly json?: boolean;
}

export function addGenerate(program: Command): void {
  const command = program
    .command('generate')
    .description('continue a text; the generated part streams to stdout')
    .argument('<dir>', 'model folder: config.json, model.safetensors, tokenizer.json')
    .requiredOption('--prompt <text>', 'text to continue; "" starts a document where the tokenizer has <|endoftext|>')
    .option('--max-new-tokens <n>', 'tokens to generate at most (default: 128)', wholeNumber(1))
    .option('--temperature <t>', '0 takes the likeliest token, 1 is the model as it is (default: 1)', number(0))
    .option('--top-k <k>', 'draw from the k likeliest tokens only (default: all)', wholeNumber(1))
    .option('--top-p <p>', 'draw from the likeliest tokens that sum to p only (default: 1)', number(0, 1))
    .option('--repetition-penalty <r>', 'above 1: make tokens that occurred less likely (default: 1)', number(0))
    .option('--seed <n>', 'the same seed gives the same text (default: 0)', wholeNumber(0))
    .addOption(
      new Option(
        '--cache-dtype <type>',
        'what keys and values are kept as: f32, or bf16 in half the memory (default: bf16 for q8 and q4 unless exact, else f32)',
      ).choices(['f32', 'bf16']),
    )
    .option('--stop <text>', 'end at this text; may be given several times', collect);
  addLoadOptions(command);
  addJsonOption(
    command,
    'text, tokenIds, promptTokens, finishReason, prefillTokensPerSecond, decodeTokensPerSecond, threads, binary, …; no text is streamed then',
  );
  command
    .addHelpText(
      'after',
      '\nExample:\n  lanewise generate model --prompt "Call me" --max-new-tokens 64 --temperature 0.8 --top-k 40 --seed 7',
    )
    .action(generate);
}

async function generate(
  dir: string,
  { json, threads, precision, dtype, adapter, ...options }: GenerateFlags & { prompt: string },
) {
  const { prompt, ...sampling } = options;
  const gpt = await loadModel(dir, loadOptions({ threads, precision, dtype, adapter } as LoadFlags));
  try {
    const generation = gpt.generate(prompt, sampling);
    let next = await generation.next();
    for (; !next.done; next = await generation.next()) if (!json) process.stdout.write(next.value);
    const { info } = gpt.model.engine;
    const { prefillTokensPerSecond, decodeTokensPerSecond, ...result } = next.value;
    if (json) {
      const { binary, precision, runtime } = info;
      const speed = { prefillTokensPerSecond, decodeTokensPerSecond };
      const { text, tokenIds, promptTokens, finishReason } = result;
      printJson({
        text,
        tokenIds,
        promptTokens,
        finishReason,
        ...speed,
        threads: info.threads,
        binary,
        precision,
        dtype: gpt.model.dtype,
        runtime,
      });
      return;
    }
    process.stdout.write('\n');
    if (process.stderr.isTTY)
      note(
        `${count(prefillTokensPerSecond)} tokens/s read, ${count(decodeTokensPerSecond)} written; ${describeEngine(info)}`,
      );
  } finally {
    gpt.dispose();
  }
}
