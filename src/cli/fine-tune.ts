/** The flags of `train` for an existing model: training all of its weights, or adapters on them. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CheckpointError, ConfigError } from '../errors.ts';
import { openDirectory } from '../files/index.ts';
import type { LoraConfig, LoraOptions } from '../formats/index.ts';
import { loadTokenizer } from '../generation/index.ts';
import {
  addLora,
  type CausalLM,
  DTYPES,
  type Dtype,
  LoraModel,
  loadCausalLM,
  type ParsedConfig,
  readConfig,
  withDropout,
} from '../models/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { flagOf } from './model-flags.ts';
import { causalBlueprint } from './model-folder.ts';
import { type EngineFlags, engineOptions } from './options.ts';

/** The value of `--lora`. */
type LoraFlag = Pick<LoraOptions, 'rank' | 'alpha' | 'dropout'>;

export interface FineTuneFlags extends EngineFlags {
  readonly from?: string;
  readonly lora?: LoraFlag;
  readonly loraTargets?: string[];
  readonly dtype?: Dtype;
  readonly dropout?: number;
  readonly seed?: number;
}

/** Flags by the options that they set, for messages. */
const FLAGS: Readonly<Record<string, string>> = {
  rank: '--lora rank',
  alpha: '--lora alpha',
  dropout: '--lora dropout',
  targetModules: '--lora-targets',
};
const nameOption = (option: keyof LoraConfig) => FLAGS[option] ?? option;

export function addFineTuneOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--from <dir>', 'train this model further, with its tokenizer, instead of a new one').conflicts([
        ...['config', 'model', 'size', 'layers', 'heads', 'width', 'tokenizer'],
      ]),
    )
    .option(
      '--lora <options>',
      'with --from: train adapters instead of its weights, such as rank:8 or rank:8,alpha:16,dropout:0.05',
      parseLoraFlag,
    )
    .option(
      '--lora-targets <layers>',
      'layers with adapters, by the ends of their names, such as c_attn,c_proj (default: the attention projections that the family names)',
      (text) => text.split(','),
    )
    .addOption(
      new Option(
        '--dtype <type>',
        'with --lora: how the weights of --from lie in memory (default: as stored if quantized, else f32)',
      ).choices(DTYPES),
    );
}

/** Parses `rank:8,alpha:16,dropout:0.05`, in any order; what is left out has its default. */
function parseLoraFlag(text: string): LoraFlag {
  const options: Record<string, number> = {};
  for (const part of text.split(',')) {
    const [, name, value] = /^(rank|alpha|dropout):(\d+\.?\d*|\.\d+)$/.exec(part) ?? [];
    if (name === undefined || name in options)
      throw new InvalidArgumentError(
        'Expected rank:N, alpha:X or dropout:P with commas between, such as rank:8,alpha:16.',
      );
    options[name] = Number(value);
  }
  return options;
}

/** The model that a run starts from. */
export interface Origin {
  readonly parsed: ParsedConfig;
  readonly tokenizer: Tokenizer;
  /** Whether adapters are trained. */
  readonly isLora: boolean;
  /** What will be trained, without memory. */
  readonly blueprint: CausalLM;
  load(): Promise<CausalLM>;
}

/**
 * Reads all of a model but its weights.
 * @returns undefined without `--from`
 * @throws ConfigError for flags that do not fit each other or the folder; CheckpointError for a folder that is not a model with tokenizer
 */
export async function readOrigin(flags: FineTuneFlags, out: string): Promise<Origin | undefined> {
  const { from, lora, loraTargets, dtype, dropout, seed } = flags;
  const isLora = lora !== undefined;
  if (from === undefined) {
    const flag = isLora ? '--lora' : loraTargets ? '--lora-targets' : dtype ? '--dtype' : undefined;
    if (flag) throw new ConfigError(`train: expected --from with ${flag}, got none. Name the model to train.`);
    return undefined;
  }
  if (!isLora && (loraTargets || dtype))
    throw new ConfigError(
      `train: expected --lora with ${loraTargets ? '--lora-targets' : '--dtype'}, got none. Weights that are trained themselves are f32.`,
    );
  if (resolve(from) === resolve(out))
    throw new ConfigError(`--out: expected another folder than ${from}, got the same. Choose another --out.`);
  const directory = await openDirectory(from);
  const file = `${directory.name}/config.json`;
  const stored = await readConfig(directory);
  const { family, quantization } = stored;
  if (quantization && !isLora)
    throw new ConfigError(
      `${from}: expected weights in F32, F16 or BF16 to train, got ${quantization}. Train adapters with --lora, or take the model that it was quantized from.`,
    );
  if (quantization && dtype && dtype !== quantization)
    throw new ConfigError(
      `train: expected --dtype to be ${quantization}, as ${from} is stored, got ${dtype}. Leave it out, or take the model that it was quantized from.`,
    );
  const config = withDropout(family, stored.config, dropout, 'train', flagOf(family));
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.vocabSize > config.vocabSize)
    throw new CheckpointError(
      `${from}: expected a tokenizer of at most ${config.vocabSize} tokens (config.json: vocab_size), got ${tokenizer.vocabSize}. Use the tokenizer that the model was trained with.`,
      { file },
    );
  const encoding = dtype ?? quantization ?? 'f32';
  const base = causalBlueprint({ family, config }, isLora && encoding === 'f32' ? 'packed' : encoding);
  const options: LoraOptions = { ...lora, targetModules: loraTargets, baseModel: from };
  const blueprint = isLora ? LoraModel.blueprint(base, options, 'train', nameOption) : base;
  const load = async () => {
    const model = await loadCausalLM(directory, { ...engineOptions(flags), dropout, dtype, trainable: !isLora });
    if (!isLora) return model;
    try {
      return await addLora(model, { ...options, seed });
    } catch (error) {
      model.dispose();
      throw error;
    }
  };
  return { parsed: { ...stored, config }, tokenizer, isLora, blueprint, load };
}
