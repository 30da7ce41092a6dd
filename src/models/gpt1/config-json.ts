/**
 * GPT-1's configuration: defaults, and config.json both ways
 * (huggingface/transformers `models/openai/configuration_openai.py`, `modeling_openai.py`, 5.17).
 */
import type { ConfigFields } from '../../formats/config/fields.ts';
import { optionError } from '../../formats/config/options.ts';
import type { ConfigRecord } from '../../formats/config/write-fields.ts';
import type { Options } from '../family.ts';
import {
  completeGPT,
  fieldName,
  GPT_RULES,
  type GPTConfig,
  type Independent,
  readGPTOptions,
  writeGPTOptions,
} from './config.ts';

/** The published model, as transformers' `OpenAIGPTConfig()`. */
const DEFAULTS: Independent = {
  vocabSize: 40478,
  blockSize: 512,
  nLayer: 12,
  nHead: 12,
  nEmbd: 768,
  activation: 'gelu-tanh',
  layerNormEpsilon: 1e-5,
  embdDropout: 0.1,
  attnDropout: 0.1,
  residDropout: 0.1,
  initializerRange: 0.02,
};

export function completeGPT1(options: Options<GPTConfig>): GPTConfig {
  return completeGPT(options, DEFAULTS);
}

/** Here `afn: "gelu"` means the tanh form (`ACT_FNS = {"gelu": gelu_new, …}`), unlike in GPT-2's file. */
export function readGPT1Config(fields: ConfigFields): GPTConfig {
  fields.require('tie_word_embeddings', true, 'An output layer of its own is not supported.');
  const afn = fields.string('afn', 'gelu');
  if (afn !== 'gelu' && afn !== 'gelu_new')
    throw fields.error('afn', 'gelu (its tanh form)', 'Other activations are not supported.');
  const shared = readGPTOptions(fields, DEFAULTS);
  const config: GPTConfig = { ...shared, nInner: 4 * shared.nEmbd, activation: 'gelu-tanh' };
  return fields.check(GPT_RULES, config, fieldName({ nInner: 'n_embd', activation: 'afn' }));
}

/** The family has no field for another width of the feed-forward network, nor for the other GELU. */
export function writeGPT1Config(config: GPTConfig): ConfigRecord {
  const { activation, nEmbd, nInner } = config;
  if (activation !== 'gelu-tanh') {
    const hint = 'Save it as gpt2, or change it.';
    throw optionError('config.json', 'activation', "'gelu-tanh' for openai-gpt", activation, hint);
  }
  if (nInner !== 4 * nEmbd)
    throw optionError('config.json', 'nInner', `4 · nEmbd = ${4 * nEmbd} for openai-gpt`, nInner);
  return { ...writeGPTOptions(config), afn: 'gelu', architectures: ['OpenAIGPTLMHeadModel'], model_type: 'openai-gpt' };
}
