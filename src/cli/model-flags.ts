/** The flags of `train` that say what model: a config.json, a published size, or sizes one by one. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import { checkGPTConfig, GPT_DEFAULTS, type GPTConfig, type ParsedConfig, parseConfig } from '../formats/index.ts';
import { GPT1_SIZES, GPT2_SIZES } from '../models/index.ts';
import { number, wholeNumber } from './options.ts';
import { readTextFiles } from './text-files.ts';

export interface ModelFlags {
  readonly config?: string;
  readonly model?: 'gpt2' | 'gpt1';
  readonly size?: string;
  readonly layers?: number;
  readonly heads?: number;
  readonly width?: number;
  readonly context?: number;
  readonly dropout?: number;
}

/** A model that a CPU trains in minutes. */
const DEFAULTS = { nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 128 };

/** What the messages call the options. */
const FLAGS: { readonly [K in keyof GPTConfig]?: string } = {
  nLayer: '--layers',
  nHead: '--heads',
  nEmbd: '--width',
  blockSize: '--context',
  embdDropout: '--dropout',
  attnDropout: '--dropout',
  residDropout: '--dropout',
};

export function addModelOptions(command: Command): Command {
  const sizes = ['model', 'size', 'layers', 'heads', 'width', 'context'];
  return command
    .addOption(new Option('--config <file>', 'Hugging Face config.json of the model').conflicts(sizes))
    .addOption(
      new Option('--model <family>', 'gpt2 (default), or gpt1: layer norm behind the blocks').choices(['gpt2', 'gpt1']),
    )
    .addOption(
      new Option(
        '--size <name>',
        `${[...Object.keys(GPT2_SIZES), ...Object.keys(GPT1_SIZES)].join(', ')} (gpt1)`,
      ).conflicts(['layers', 'heads', 'width']),
    )
    .option('--layers <n>', `blocks (default: ${DEFAULTS.nLayer})`, wholeNumber(1))
    .option(
      '--heads <n>',
      `attention heads of a block, a divisor of the width (default: ${DEFAULTS.nHead})`,
      wholeNumber(1),
    )
    .option('--width <n>', `width of the residual stream (default: ${DEFAULTS.nEmbd})`, wholeNumber(1))
    .option(
      '--context <n>',
      `tokens that the model sees at once; with --from, of a sequence to train on (default: ${DEFAULTS.blockSize}, or that of --from)`,
      wholeNumber(1),
    )
    .option(
      '--dropout <p>',
      'share of activations set to 0 in training, below 1 (default: 0.1, or as in --config or --from)',
      number(0, 1),
    );
}

/** What `--config` names, parsed; undefined without it. */
export async function readConfigFlag({ config }: ModelFlags): Promise<ParsedConfig | undefined> {
  if (config === undefined) return undefined;
  return parseConfig(await readTextFiles([config]), config);
}

/**
 * The model that the flags describe.
 * @param file what `--config` names
 * @param tokenizer the vocabulary; the model's is larger only where the config.json says so
 * @throws ConfigError naming the flag, its range and its value
 */
export function modelOf(
  { model = 'gpt2', size, layers, heads, width, context, dropout }: ModelFlags,
  file: ParsedConfig | undefined,
  tokenizer: { readonly vocabSize: number; readonly endOfText: number | undefined },
): ParsedConfig {
  const dropouts = dropout !== undefined && { embdDropout: dropout, attnDropout: dropout, residDropout: dropout };
  const name = (option: keyof GPTConfig) => FLAGS[option] ?? option;
  if (file) {
    const vocabSize = Math.max(file.config.vocabSize, tokenizer.vocabSize);
    return { ...file, config: checkGPTConfig({ ...file.config, vocabSize, ...dropouts }, 'train', name) };
  }
  const family = model === 'gpt1' ? 'openai-gpt' : 'gpt2';
  const sizes: Record<string, Partial<GPTConfig>> = model === 'gpt1' ? GPT1_SIZES : GPT2_SIZES;
  if (size !== undefined && !Object.hasOwn(sizes, size))
    throw new ConfigError(
      `train: expected --size to be one of ${Object.keys(sizes).join(', ')} for ${model}, got ${JSON.stringify(size)}.`,
    );
  const published = size === undefined ? undefined : { ...GPT_DEFAULTS, ...sizes[size] };
  const nEmbd = width ?? published?.nEmbd ?? DEFAULTS.nEmbd;
  const { vocabSize, endOfText } = tokenizer;
  const config: GPTConfig = {
    ...GPT_DEFAULTS,
    nLayer: layers ?? published?.nLayer ?? DEFAULTS.nLayer,
    nHead: heads ?? published?.nHead ?? DEFAULTS.nHead,
    blockSize: context ?? published?.blockSize ?? DEFAULTS.blockSize,
    nEmbd,
    nInner: 4 * nEmbd,
    vocabSize,
    ...(endOfText !== undefined && { bosTokenId: endOfText, eosTokenId: endOfText }),
    ...dropouts,
  };
  return { family, config: checkGPTConfig(config, 'train', name) };
}
