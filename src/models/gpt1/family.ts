/** GPT-1 as a family: configuration, names and layers together. */
import type { Family } from '../family.ts';
import { LanguageModelHead } from '../heads/language-model.ts';
import { describeGPT, GPT_DROPOUTS, GPT_RULES, type GPTConfig, shapeOfGPT } from './config.ts';
import { completeGPT1, readGPT1Config, writeGPT1Config } from './config-json.ts';
import { GPT1Body } from './model.ts';
import { GPT1_NAMES } from './names.ts';

export const gpt1: Family<GPTConfig, LanguageModelHead> = {
  modelType: 'openai-gpt',
  rules: GPT_RULES,
  dropouts: GPT_DROPOUTS,
  names: GPT1_NAMES,
  vocabulary: 'word-suffix-bpe',
  adapterTargets: ['c_attn'],
  complete: completeGPT1,
  readConfig: readGPT1Config,
  writeConfig: writeGPT1Config,
  shapeOf: shapeOfGPT,
  describe: describeGPT,
  build(scope, config) {
    const body = new GPT1Body(scope.at('transformer'), config);
    return { body, head: new LanguageModelHead(body.tokens.weight) };
  },
};
