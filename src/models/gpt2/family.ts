/** GPT-2 as a family: configuration, names and layers together. */
import type { Family } from '../family.ts';
import { describeGPT, GPT_DROPOUTS, GPT_RULES, type GPTConfig, shapeOfGPT } from '../gpt1/options.ts';
import { LanguageModelHead } from '../heads/language-model.ts';
import { completeGPT2, readGPT2Config, writeGPT2Config } from './config.ts';
import { GPT2Body } from './model.ts';
import { GPT2_NAMES } from './names.ts';

export const gpt2: Family<GPTConfig, LanguageModelHead> = {
  modelType: 'gpt2',
  rules: GPT_RULES,
  dropouts: GPT_DROPOUTS,
  names: GPT2_NAMES,
  vocabulary: 'byte-level-bpe',
  adapterTargets: ['c_attn'],
  complete: completeGPT2,
  readConfig: readGPT2Config,
  writeConfig: writeGPT2Config,
  shapeOf: shapeOfGPT,
  describe: describeGPT,
  build(scope, config) {
    const body = new GPT2Body(scope.at('transformer'), config);
    return { body, head: new LanguageModelHead(body.tokens.weight) };
  },
};
