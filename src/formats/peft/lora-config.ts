/**
 * The options of LoRA (Hu et al. 2021), and the adapter_config.json in which PEFT keeps them
 * (huggingface/peft `tuners/lora/config.py`, `utils/save_and_load.py`):
 *
 *   rank → r    alpha → lora_alpha    dropout → lora_dropout    targetModules → target_modules    useRslora → use_rslora
 *
 * PEFT's other fields change what a model computes; a file in which one of them is in use is refused by its name.
 */
import { ConfigError } from '../../errors.ts';
import { ConfigFields } from '../config/fields.ts';
import { checkNames, definedOptions, optionError } from '../config/options.ts';
import { formatFields, PythonFloat } from '../config/write-fields.ts';
import { type JsonValue, numberOf } from '../json.ts';

/** The files of a PEFT folder. */
export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/** What an adapter is, under this package's names. */
export interface LoraConfig {
  /** Rows of A and columns of B, 1 … 4096. */
  readonly rank: number;
  /** The addition is scaled by alpha / rank. Above 0, at most 1e6. */
  readonly alpha: number;
  /** Share of a layer's input that is set to 0 in front of A in training, 0 ≤ p < 1. */
  readonly dropout: number;
  /** Layers that are adapted: each whose name is one of these, or ends in `.` and one of these. */
  readonly targetModules: readonly string[];
  /** Scale by alpha / √rank instead (Kalajdzievski 2023). */
  readonly useRslora: boolean;
  /** Path or name of the model that is adapted; saved as `base_model_name_or_path`, not read otherwise. */
  readonly baseModel?: string;
}

/** Some options of LoRA; the others take their defaults. */
export type LoraOptions = { readonly [K in keyof LoraConfig]?: LoraConfig[K] | undefined };

const DEFAULT_RANK = 8;
const LARGEST_RANK = 4096;
const LARGEST_ALPHA = 1e6;

/** PEFT's names. */
const FIELDS: { readonly [K in keyof LoraConfig]-?: string } = {
  rank: 'r',
  alpha: 'lora_alpha',
  dropout: 'lora_dropout',
  targetModules: 'target_modules',
  useRslora: 'use_rslora',
  baseModel: 'base_model_name_or_path',
};

/** The name of an option in a message. */
type NameOption = (option: keyof LoraConfig) => string;

/**
 * Completes options with their defaults and checks them.
 * @param options any of `LoraConfig`; rank 8, alpha as rank and dropout 0 unless they are given; `targetModules` must be. Unknown names
 *   are refused, since a misspelt one would be ignored.
 * @param where what the message names. Default 'lora'.
 * @param nameOption how the message calls an option. Default: as here.
 * @throws ConfigError naming the option, its range and its value.
 */
export function completeLoraConfig(
  options: LoraOptions = {},
  where = 'lora',
  nameOption: NameOption = (option) => option,
): LoraConfig {
  const given = definedOptions<LoraConfig>(options);
  checkNames(FIELDS, given, where);
  const { rank = DEFAULT_RANK, dropout = 0, targetModules = [], useRslora = false, baseModel } = given;
  const { alpha = rank } = given;
  const fail = (option: keyof LoraConfig, expected: string, value: unknown): never => {
    throw optionError(where, nameOption(option), expected, value);
  };
  if (!Number.isInteger(rank) || rank < 1 || rank > LARGEST_RANK)
    fail('rank', `a whole number from 1 to ${LARGEST_RANK}`, rank);
  if (typeof alpha !== 'number' || !(alpha > 0 && alpha <= LARGEST_ALPHA))
    fail('alpha', `a number above 0 and at most ${LARGEST_ALPHA}`, alpha);
  if (typeof dropout !== 'number' || !(dropout >= 0 && Math.fround(dropout) < 1))
    fail('dropout', 'a number from 0 to below 1', dropout);
  const isName = (target: unknown) => typeof target === 'string' && target !== '';
  if (!Array.isArray(targetModules) || targetModules.length === 0 || !targetModules.every(isName))
    fail('targetModules', 'names of layers such as ["c_attn"]', targetModules);
  if (typeof useRslora !== 'boolean') fail('useRslora', 'true or false', useRslora);
  if (baseModel !== undefined && typeof baseModel !== 'string') fail('baseModel', 'a path or a name', baseModel);
  const targets = Object.freeze([...new Set(targetModules)]);
  const config = { rank, alpha, dropout, targetModules: targets, useRslora };
  return Object.freeze(baseModel === undefined ? config : { ...config, baseModel });
}

/** What the product of A and B is multiplied with. */
export function loraScale({ rank, alpha, useRslora }: LoraConfig): number {
  return alpha / (useRslora ? Math.sqrt(rank) : rank);
}

/**
 * The layers that targets name, as PEFT matches them: by the whole name, or by its end after a point.
 * @param layers those that can be adapted, in the order of the model.
 * @throws ConfigError for a target that names none.
 */
export function targetLayers(
  { targetModules }: LoraConfig,
  layers: readonly string[],
  where = 'lora',
  nameOption: NameOption = (option) => option,
): string[] {
  const matches = (layer: string, target: string) => layer === target || layer.endsWith(`.${target}`);
  for (const target of targetModules)
    if (!layers.some((layer) => matches(layer, target))) {
      const kinds = [...new Set(layers.map((layer) => layer.slice(layer.lastIndexOf('.') + 1)))];
      throw new ConfigError(
        `${where}: expected ${nameOption('targetModules')} to be among ${kinds.join(', ')}, got ${JSON.stringify(target)}. Only these layers take an adapter.`,
      );
    }
  return layers.filter((layer) => targetModules.some((target) => matches(layer, target)));
}

/** Names of the tensors of an adapted layer, as PEFT has them. */
export function loraNames(layer: string): { a: string; b: string } {
  return { a: `base_model.model.${layer}.lora_A.weight`, b: `base_model.model.${layer}.lora_B.weight` };
}

/** The layer of a tensor of PEFT's; undefined for tensors of another kind. */
export function layerOfLoraTensor(name: string): string | undefined {
  return /^base_model\.model\.(.+)\.lora_[AB]\.weight$/.exec(name)?.[1];
}

/** Fields by which an adapter is more, or something else, where they are neither null nor false nor empty. */
const UNUSED = [
  ...['rank_pattern', 'alpha_pattern', 'modules_to_save', 'layer_replication', 'trainable_token_indices'],
  ...['target_parameters', 'lora_bias', 'use_dora', 'use_qalora', 'use_bdlora', 'megatron_config', 'arrow_config'],
  ...['alora_invocation_tokens', 'kasa_config', 'velora_config', 'monteclora_config'],
];
/** Ways to begin that leave the base model as it is; others, such as `pissa`, take something out of its weights. */
const INITIALIZATIONS: readonly unknown[] = [true, false, 'gaussian', 'eva', 'orthogonal'];

/** The content of an adapter_config.json. */
export interface ParsedLoraConfig {
  readonly config: LoraConfig;
  /** Whether `target_modules` does not list all adapted layers by name: the tensors then show which they are. */
  readonly isPattern: boolean;
}

/**
 * Reads PEFT's adapter_config.json.
 * @param json text of the file.
 * @param file what messages call it.
 * @throws ConfigError naming file, field, expected and found value.
 */
export function parseLoraConfig(json: string, file = ADAPTER_CONFIG): ParsedLoraConfig {
  const fields = ConfigFields.parse(json, file);
  if (fields.get('peft_type') !== 'LORA')
    throw fields.error('peft_type', '"LORA"', 'Other adapters are not supported.');
  const isUnused = (value: JsonValue | undefined) =>
    value === undefined || value === false || (value instanceof Map && value.size === 0) || isEmptyList(value);
  for (const field of UNUSED)
    if (!isUnused(fields.get(field))) throw fields.error(field, 'absent or null', 'It is not supported.');
  if (fields.string('bias', 'none') !== 'none')
    throw fields.error('bias', '"none"', 'Trained biases are not supported.');
  if (!INITIALIZATIONS.includes(fields.get('init_lora_weights') ?? true))
    throw fields.error('init_lora_weights', 'true, false or "gaussian"', 'Others change the base model too.');
  const targets = fields.get(FIELDS.targetModules);
  const isList = Array.isArray(targets) && targets.length > 0 && targets.every((target) => typeof target === 'string');
  if (!isList && typeof targets !== 'string') throw fields.error(FIELDS.targetModules, 'a list of names, or a pattern');
  const rslora = fields.get(FIELDS.useRslora) ?? false;
  if (typeof rslora !== 'boolean') throw fields.error(FIELDS.useRslora, 'true or false');
  const baseModel = fields.get(FIELDS.baseModel);
  if (baseModel !== undefined && typeof baseModel !== 'string')
    throw fields.error(FIELDS.baseModel, 'a string or null');
  const restricted = ['layers_to_transform', 'layers_pattern', 'exclude_modules'].some(
    (field) => !isUnused(fields.get(field)),
  );
  const config = completeLoraConfig(
    {
      rank: requiredNumber(fields, FIELDS.rank),
      alpha: requiredNumber(fields, FIELDS.alpha),
      dropout: fields.number([FIELDS.dropout], 0),
      targetModules: isList ? (targets as string[]) : [targets as string],
      useRslora: rslora,
      baseModel,
    },
    file,
    (option) => FIELDS[option],
  );
  return { config, isPattern: !isList || restricted };
}

function isEmptyList(value: JsonValue): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** A number that must be there: PEFT's defaults have changed. */
function requiredNumber(fields: ConfigFields, field: string): number {
  const value = numberOf(fields.get(field) ?? null);
  if (value === undefined) throw fields.error(field, 'a number');
  return value;
}

/** What an adapter_config.json holds about the base model. */
export interface LoraBase {
  /** Whether the adapted weights are stored [in, out]. */
  readonly fanInFanOut: boolean;
  /** PEFT's name of the task, such as `CAUSAL_LM`. */
  readonly taskType: string;
}

/**
 * Writes an adapter_config.json that PEFT loads, with the fields that all versions of PEFT have.
 * @returns text of the file.
 */
export function formatLoraConfig(config: LoraConfig, { fanInFanOut, taskType }: LoraBase): string {
  const { rank, alpha, dropout, targetModules, useRslora, baseModel } = config;
  return formatFields({
    alpha_pattern: {},
    auto_mapping: null,
    [FIELDS.baseModel]: baseModel ?? null,
    bias: 'none',
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    [FIELDS.alpha]: alpha,
    [FIELDS.dropout]: new PythonFloat(dropout),
    modules_to_save: null,
    peft_type: 'LORA',
    [FIELDS.rank]: rank,
    rank_pattern: {},
    revision: null,
    [FIELDS.targetModules]: targetModules,
    task_type: taskType,
    [FIELDS.useRslora]: useRslora,
  });
}
