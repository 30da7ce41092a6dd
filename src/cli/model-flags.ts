/** The flags of `train` that describe a new model: a config.json, a published size, or sizes one by one. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import { checkOptions, definedOptions } from '../formats/index.ts';
import {
  DEFAULT_FAMILY,
  type Family,
  familyEntries,
  loadFamily,
  type ModelConfig,
  type ParsedConfig,
  parseConfig,
  sizeOptions,
  withDropout,
} from '../models/index.ts';
import { number, wholeNumber } from './options.ts';
import { readTextFiles } from './text-files.ts';

export interface ModelFlags {
  readonly config?: string;
  readonly model?: string;
  readonly size?: string;
  readonly layers?: number;
  readonly heads?: number;
  readonly width?: number;
  readonly context?: number;
  readonly dropout?: number;
}

/** A model that a CPU trains in minutes, of a family that has these options. */
const DEFAULTS = { nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 128 };

/** Flags by the options that they set, for messages. */
const FLAGS: Readonly<Record<string, string>> = {
  nLayer: '--layers',
  nHead: '--heads',
  nEmbd: '--width',
  blockSize: '--context',
};

/** The flag that sets an option of a family, for messages. */
export function flagOf({ dropouts }: Pick<Family, 'dropouts'>): (option: string) => string {
  return (option) => (dropouts.includes(option) ? '--dropout' : (FLAGS[option] ?? option));
}

/** `124M, 355M (gpt2); 117M (gpt1)`: the default family first. */
function sizesHelp(): string {
  const families = [...familyEntries()].sort(([a], [b]) => Number(b === DEFAULT_FAMILY) - Number(a === DEFAULT_FAMILY));
  return families.map(([name, { sizes }]) => `${Object.keys(sizes).join(', ')} (${name})`).join('; ');
}

export function addModelOptions(command: Command): Command {
  const sizes = ['model', 'size', 'layers', 'heads', 'width', 'context'];
  const families = [...familyEntries().keys()];
  return command
    .addOption(new Option('--config <file>', 'Hugging Face config.json of the model').conflicts(sizes))
    .addOption(new Option('--model <family>', `family of the model (default: ${DEFAULT_FAMILY})`).choices(families))
    .addOption(new Option('--size <name>', sizesHelp()).conflicts(['layers', 'heads', 'width']))
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

/** The family that the flags name, and the content of `--config` where it is given. */
export async function readModelFlags({ config, model = DEFAULT_FAMILY }: ModelFlags): Promise<ModelSource> {
  if (config === undefined) return { name: model, family: await loadFamily(model) };
  return parseConfig(await readTextFiles([config]), config);
}

/** A config.json, or a family of which a new model is described by flags. */
export type ModelSource = ParsedConfig | { readonly name: string; readonly family: Family };

/**
 * The model that the flags describe.
 * @param source what `--config` or `--model` names
 * @param tokenizer the vocabulary; the model's is larger only where that of the config.json is
 * @throws ConfigError naming the flag, its range and its value
 */
export function modelOf(
  { size, layers, heads, width, context, dropout }: ModelFlags,
  source: ModelSource,
  tokenizer: { readonly vocabSize: number; readonly endOfText: number | undefined },
): ParsedConfig {
  const { family } = source;
  const nameOption = flagOf(family);
  if ('config' in source) {
    const config = withDropout(family, source.config, dropout, 'train', nameOption);
    const vocabSize = Math.max(config.vocabSize, tokenizer.vocabSize);
    return { ...source, config: checkOptions(family.rules, { ...config, vocabSize }, 'train', nameOption) };
  }
  const asked = definedOptions({ nLayer: layers, nHead: heads, nEmbd: width, blockSize: context });
  for (const option of Object.keys(asked))
    if (!Object.hasOwn(family.rules, option))
      throw new ConfigError(
        `train: expected options of ${source.name} models, got ${nameOption(option)}. Leave it out, or describe the model by --config.`,
      );
  const defaults = Object.entries(DEFAULTS).filter(([option]) => Object.hasOwn(family.rules, option));
  const sized = size === undefined ? Object.fromEntries(defaults) : sizeOptions(source.name, size, 'train', '--size');
  const { vocabSize, endOfText } = tokenizer;
  const options = {
    ...sized,
    ...asked,
    vocabSize,
    ...(endOfText !== undefined && { bosTokenId: endOfText, eosTokenId: endOfText }),
  };
  const config: ModelConfig = withDropout(family, family.complete(options), dropout, 'train', nameOption);
  return { family, config: checkOptions(family.rules, config, 'train', nameOption) };
}
