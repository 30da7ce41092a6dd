/** PEFT's adapter_config.json: what is read, what is refused by name, and what is written. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import {
  completeLoraConfig,
  formatLoraConfig,
  type LoraOptions,
  layerOfLoraTensor,
  loraNames,
  loraScale,
  parseLoraConfig,
  targetLayers,
} from '../../src/formats/index.ts';

const BASE = { fanInFanOut: true, taskType: 'CAUSAL_LM' };
/** Options completed, with a target where none is given. */
const complete = (options: LoraOptions = {}) => completeLoraConfig({ targetModules: ['c_attn'], ...options });

const FIELDS = { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: ['c_attn'] };
const parse = (more: object = {}) => parseLoraConfig(JSON.stringify({ ...FIELDS, ...more }), 'a.json');

describe('parseLoraConfig', () => {
  it('reads the fields under the names of this package; what is not there has PEFT’s default', () => {
    expect(parse()).toEqual({
      config: { rank: 8, alpha: 16, dropout: 0, targetModules: ['c_attn'], useRslora: false },
      isPattern: false,
    });
    const more = { lora_dropout: 0.05, use_rslora: true, base_model_name_or_path: 'gpt2', lora_alpha: 0.5 };
    expect(parse(more).config).toEqual({
      ...{ rank: 8, alpha: 0.5, dropout: 0.05, targetModules: ['c_attn'], useRslora: true, baseModel: 'gpt2' },
    });
  });

  it.each([{ target_modules: '.*c_attn' }, { layers_to_transform: [1] }, { exclude_modules: ['h.0.attn.c_attn'] }])(
    '%j: the tensors say which layers are adapted',
    (more) => expect(parse(more).isPattern).toBe(true),
  );

  it.each([
    {
      rank_pattern: {},
      alpha_pattern: {},
      modules_to_save: null,
      use_dora: false,
      layers_to_transform: [],
      bias: 'none',
    },
    {
      init_lora_weights: 'gaussian',
      loftq_config: {},
      megatron_core: 'megatron.core',
      peft_version: '9.9',
      unknown: 3,
    },
  ])('%j: nothing is in use that matters', (more) => expect(parse(more)).toEqual(parse()));

  it.each<[object, string]>([
    [{ peft_type: 'IA3' }, 'a.json: expected peft_type to be "LORA", got "IA3". Other adapters are not supported.'],
    [{ r: 0 }, 'a.json: expected r to be a whole number from 1 to 4096, got 0. Change r.'],
    [{ r: null }, 'a.json: expected r to be a number, got null. Change r.'],
    [{ lora_alpha: '16' }, 'a.json: expected lora_alpha to be a number, got "16". Change lora_alpha.'],
    [{ lora_dropout: 1 }, 'a.json: expected lora_dropout to be a number from 0 to below 1, got 1.'],
    [{ target_modules: [] }, 'a.json: expected target_modules to be a list of names, or a pattern, got an array.'],
    [{ target_modules: [1] }, 'a.json: expected target_modules to be a list of names, or a pattern, got an array.'],
    [{ bias: 'all' }, 'a.json: expected bias to be "none", got "all". Trained biases are not supported.'],
    [{ use_dora: true }, 'a.json: expected use_dora to be absent or null, got true. It is not supported.'],
    [{ rank_pattern: { c_attn: 4 } }, 'a.json: expected rank_pattern to be absent or null, got an object.'],
    [{ modules_to_save: ['lm_head'] }, 'a.json: expected modules_to_save to be absent or null, got an array.'],
    [{ alora_invocation_tokens: [5] }, 'a.json: expected alora_invocation_tokens to be absent or null, got an array.'],
    [
      { init_lora_weights: 'pissa' },
      'a.json: expected init_lora_weights to be true, false or "gaussian", got "pissa".',
    ],
    [{ use_rslora: 'yes' }, 'a.json: expected use_rslora to be true or false, got "yes".'],
    [{ base_model_name_or_path: 3 }, 'a.json: expected base_model_name_or_path to be a string or null, got 3.'],
  ])('refuses %j', (more, message) => {
    expect(() => parse(more)).toThrow(ConfigError);
    expect(() => parse(more)).toThrow(message);
  });

  it('refuses what is not JSON, or no object', () => {
    expect(() => parseLoraConfig('{', 'a.json')).toThrow('a.json: expected JSON');
    expect(() => parseLoraConfig('[]', 'a.json')).toThrow('a.json: expected a JSON object, got an array.');
  });
});

it('what is written is read again; Python reads the dropout as a float', () => {
  for (const options of [{}, { rank: 3, alpha: 0.25, dropout: 0.5, targetModules: ['c_fc', 'c_fc'], baseModel: 'x' }]) {
    const config = complete(options);
    expect(parseLoraConfig(formatLoraConfig(config, BASE)).config).toEqual(config);
  }
  expect(formatLoraConfig(complete(), BASE)).toContain('"lora_dropout": 0.0,');
});

it('scale: alpha / rank, or alpha / √rank', () => {
  expect(loraScale(complete({ rank: 4, alpha: 6 }))).toBe(1.5);
  expect(loraScale(complete({ rank: 4, alpha: 6, useRslora: true }))).toBe(3);
  expect(loraScale(complete({ rank: 32 }))).toBe(1);
});

it('targets: whole names, or ends behind a point', () => {
  const layers = ['t.h.0.attn.c_attn', 't.h.0.attn.c_proj', 't.h.0.mlp.c_proj', 't.h.10.mlp.c_proj'];
  const found = (...targetModules: string[]) => targetLayers(complete({ targetModules }), layers);
  expect(found('c_proj')).toEqual(layers.slice(1));
  expect(found('mlp.c_proj', 't.h.0.attn.c_attn')).toEqual([layers[0], layers[2], layers[3]]);
  expect(found('h.0.mlp.c_proj')).toEqual([layers[2]]);
  expect(() => found('c_proj', 'proj')).toThrow('lora: expected targetModules to be among c_attn, c_proj, got "proj".');
});

it('names of tensors', () => {
  const { a, b } = loraNames('transformer.h.0.attn.c_attn');
  expect([a, b]).toEqual([
    'base_model.model.transformer.h.0.attn.c_attn.lora_A.weight',
    'base_model.model.transformer.h.0.attn.c_attn.lora_B.weight',
  ]);
  expect([a, b].map(layerOfLoraTensor)).toEqual(['transformer.h.0.attn.c_attn', 'transformer.h.0.attn.c_attn']);
  for (const other of [
    'base_model.model.transformer.wte.lora_embedding_A',
    'transformer.h.0.attn.c_attn.lora_A.weight',
  ])
    expect(layerOfLoraTensor(other)).toBeUndefined();
});
