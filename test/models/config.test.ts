/** config.json of GPT-1 and GPT-2: defaults, aliases, refusals, and the way back. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { ConfigError } from '../../src/errors.ts';
import { ConfigFields, quantizationFields } from '../../src/formats/index.ts';
import { completeConfig, createModel } from '../../src/models/create.ts';
import type { Options } from '../../src/models/family.ts';
import { gpt1 } from '../../src/models/gpt1/family.ts';
import type { GPTConfig } from '../../src/models/gpt1/options.ts';
import { gpt2 } from '../../src/models/gpt2/family.ts';
import { loadCausalLM } from '../../src/models/load.ts';
import { formatConfig, parseConfig } from '../../src/models/read-config.ts';
import { syntaxError } from '../formats/support.ts';

type Fields = Readonly<Record<string, unknown>>;
const FAMILIES = [gpt2, gpt1];
type GPTFamily = (typeof FAMILIES)[number];

/** What the file of a family says. */
const read = (family: GPTFamily, fields: Fields): GPTConfig =>
  family.readConfig(ConfigFields.parse(JSON.stringify({ model_type: family.modelType, ...fields }), 'config.json'));
const readGPT2 = (fields: Fields = {}): GPTConfig => read(gpt2, fields);
const readGPT1 = (fields: Fields = {}): GPTConfig => read(gpt1, fields);
const complete = (options: Options<GPTConfig> = {}, where = 'GPT2') => completeConfig(gpt2, options, where);

/** Options of which no other one depends, as transformers' `GPT2Config()`. */
const DEFAULTS = {
  vocabSize: 50257,
  blockSize: 1024,
  nLayer: 12,
  nHead: 12,
  nEmbd: 768,
  nInner: 3072,
  activation: 'gelu-tanh',
  layerNormEpsilon: 1e-5,
  embdDropout: 0.1,
  attnDropout: 0.1,
  residDropout: 0.1,
  initializerRange: 0.02,
};

describe('parseConfig', () => {
  it('takes the defaults of transformers for what is absent', async () => {
    expect(await parseConfig('{"model_type":"gpt2"}')).toEqual({
      family: gpt2,
      config: { ...DEFAULTS, bosTokenId: 50256, eosTokenId: 50256 },
    });
    expect(await parseConfig('{"model_type":"openai-gpt"}')).toEqual({
      family: gpt1,
      config: { ...DEFAULTS, vocabSize: 40478, blockSize: 512 },
    });
  });

  it('reads every field', () => {
    expect(
      readGPT2({
        vocab_size: 100,
        n_positions: 20,
        n_layer: 3,
        n_head: 2,
        n_embd: 8,
        n_inner: 10,
        activation_function: 'gelu',
        layer_norm_epsilon: 1e-6,
        embd_pdrop: 0,
        attn_pdrop: 0.25,
        resid_pdrop: 0.5,
        initializer_range: 0.1,
        bos_token_id: 98,
        eos_token_id: 99,
      }),
    ).toEqual({
      vocabSize: 100,
      blockSize: 20,
      nLayer: 3,
      nHead: 2,
      nEmbd: 8,
      nInner: 10,
      activation: 'gelu-erf',
      layerNormEpsilon: 1e-6,
      embdDropout: 0,
      attnDropout: 0.25,
      residDropout: 0.5,
      initializerRange: 0.1,
      bosTokenId: 98,
      eosTokenId: 99,
    });
    expect(readGPT1({ n_positions: 20, n_layer: 3, n_head: 2, n_embd: 8, afn: 'gelu', eos_token_id: 5 })).toMatchObject(
      {
        blockSize: 20,
        nLayer: 3,
        nHead: 2,
        nEmbd: 8,
        nInner: 32,
        activation: 'gelu-tanh',
        eosTokenId: 5,
      },
    );
  });

  it('reads the config.json of the original gpt2', async () => {
    const text = `{
      "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
      "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
      "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
      "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
      "summary_type": "cls_index", "summary_use_proj": true,
      "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257 }`;
    expect((await parseConfig(text)).config).toEqual(readGPT2());
  });

  it('takes the general names of transformers, and n_ctx alone', () => {
    const general = { hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1, max_position_embeddings: 6 };
    expect(readGPT2(general)).toMatchObject({ nEmbd: 8, nHead: 2, nLayer: 1, blockSize: 6, nInner: 32 });
    expect(readGPT1(general)).toMatchObject({ nEmbd: 8, nHead: 2, nLayer: 1, blockSize: 6 });
    expect(readGPT2({ n_ctx: 33 }).blockSize).toBe(33);
    expect(readGPT2({ n_ctx: 33, n_positions: 44 }).blockSize).toBe(44);
    expect(readGPT2({ n_embd: 12, hidden_size: 24 }).nEmbd).toBe(12);
    expect(readGPT2({ n_embd: null, n_inner: null })).toMatchObject({ nEmbd: 768, nInner: 3072 });
    expect(gpt2.readConfig(ConfigFields.parse('{"model_type":"gpt2","n_layer":2.0}', 'f')).nLayer).toBe(2);
  });

  it.each([
    ['gelu_new', 'gelu-tanh'],
    ['gelu_pytorch_tanh', 'gelu-tanh'],
    ['gelu_python_tanh', 'gelu-tanh'],
    ['gelu_fast', 'gelu-tanh'],
    ['gelu_accurate', 'gelu-tanh'],
    ['gelu', 'gelu-erf'],
    ['gelu_python', 'gelu-erf'],
  ])('reads the activation %s as %s', (name, activation) => {
    expect(readGPT2({ activation_function: name }).activation).toBe(activation);
  });

  it('reads "gelu" of GPT-1 as the tanh form, as transformers computes it', () => {
    expect(readGPT1({ afn: 'gelu' }).activation).toBe('gelu-tanh');
    expect(readGPT2({ activation_function: 'gelu' }).activation).toBe('gelu-erf');
  });

  it('leaves out token ids that are null, absent or beyond the vocabulary', () => {
    expect(readGPT2({ vocab_size: 65 })).not.toHaveProperty('bosTokenId');
    expect(readGPT2({ vocab_size: 65, eos_token_id: 50256 })).not.toHaveProperty('eosTokenId');
    expect(readGPT2({ bos_token_id: null })).not.toHaveProperty('bosTokenId');
    expect(readGPT2({ eos_token_id: [7] }).eosTokenId).toBe(7);
    expect(readGPT1()).not.toHaveProperty('eosTokenId');
  });

  const accepted = [
    { reorder_and_upcast_attn: true },
    { scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false, add_cross_attention: null },
    { tie_word_embeddings: true, quantization_config: null, whatever: { x: [1] } },
  ];
  it.each(accepted)('accepts %j', (fields) => {
    expect(() => readGPT2(fields)).not.toThrow();
  });

  const range = (field: string, from: number, to: number, value: unknown) =>
    [
      { [field]: value },
      `expected ${field} to be a whole number from ${from} to ${to}, got ${value}. Change ${field}.`,
    ] as const;
  it.each<readonly [Record<string, unknown>, string]>([
    [
      { activation_function: 'relu' },
      'expected activation_function to be one of gelu_new, gelu_pytorch_tanh, gelu_python_tanh, gelu_fast, gelu_accurate, gelu, gelu_python, got "relu". Other activations are not supported.',
    ],
    [{ activation_function: 'constructor' }, 'got "constructor". Other activations are not supported.'],
    [{ activation_function: 5 }, 'expected activation_function to be a string, got 5. Change activation_function.'],
    [
      { scale_attn_weights: false },
      'expected scale_attn_weights to be true, got false. Attention without the 1/√d scale is not supported.',
    ],
    [
      { scale_attn_by_inverse_layer_idx: true },
      'expected scale_attn_by_inverse_layer_idx to be false, got true. Attention scaled by layer is not supported.',
    ],
    [
      { add_cross_attention: true },
      'expected add_cross_attention to be false, got true. Only decoders without an encoder are supported.',
    ],
    [
      { tie_word_embeddings: false },
      'expected tie_word_embeddings to be true, got false. An output layer of its own is not supported.',
    ],
    [{ tie_word_embeddings: 'yes' }, 'expected tie_word_embeddings to be true, got "yes".'],
    range('vocab_size', 1, 16777216, 0),
    range('vocab_size', 1, 16777216, -1),
    range('vocab_size', 1, 16777216, 1e300),
    range('n_positions', 1, 16777216, 0.5),
    range('n_layer', 1, 4096, 4097),
    range('n_head', 1, 1048576, 0),
    range('n_embd', 1, 1048576, 2 ** 21),
    range('n_inner', 1, 16777216, 0),
    [{ n_embd: '768' }, 'expected n_embd to be a number, got "768". Change n_embd.'],
    [{ n_embd: [768] }, 'expected n_embd to be a number, got an array. Change n_embd.'],
    [{ n_layer: true }, 'expected n_layer to be a number, got true. Change n_layer.'],
    [{ n_embd: 10, n_head: 3 }, 'expected n_embd to be a multiple of n_head = 3, got 10. Change n_embd.'],
    [{ layer_norm_epsilon: 0 }, 'expected layer_norm_epsilon to be a number above 0 and at most 1, got 0.'],
    [{ layer_norm_epsilon: 1e-60 }, 'expected layer_norm_epsilon to be a number above 0 and at most 1, got 1e-60.'],
    [{ layer_norm_epsilon: 2 }, 'expected layer_norm_epsilon to be a number above 0 and at most 1, got 2.'],
    [{ embd_pdrop: 1 }, 'expected embd_pdrop to be a number from 0 to below 1, got 1.'],
    [{ attn_pdrop: -0.1 }, 'expected attn_pdrop to be a number from 0 to below 1, got -0.1.'],
    [{ resid_pdrop: 0.9999999999 }, 'expected resid_pdrop to be a number from 0 to below 1, got 0.9999999999.'],
    [{ initializer_range: -1 }, 'expected initializer_range to be a number from 0 to 100, got -1.'],
    [{ eos_token_id: -1 }, 'expected eos_token_id to be one token id or null, got -1.'],
    [{ eos_token_id: [1, 2] }, 'expected eos_token_id to be one token id or null, got an array.'],
    [{ bos_token_id: 1.5 }, 'expected bos_token_id to be one token id or null, got 1.5.'],
    [{ bos_token_id: '<s>' }, 'expected bos_token_id to be one token id or null, got "<s>".'],
  ])('refuses %j', (fields, message) => {
    expect(() => readGPT2(fields)).toThrow(ConfigError);
    expect(() => readGPT2(fields)).toThrow(`config.json: expected `);
    expect(() => readGPT2(fields)).toThrow(message);
  });

  it.each([
    [{ afn: 'relu' }, 'expected afn to be gelu (its tanh form), got "relu". Other activations are not supported.'],
    [{ afn: 'silu' }, 'got "silu"'],
    [{ tie_word_embeddings: false }, 'expected tie_word_embeddings to be true, got false.'],
    [{ n_embd: 7 }, 'expected n_embd to be a multiple of n_head = 12, got 7. Change n_embd.'],
    [{ n_layer: 0 }, 'expected n_layer to be a whole number from 1 to 4096, got 0.'],
  ])('refuses %j of GPT-1', (fields, message) => {
    expect(() => readGPT1(fields)).toThrow(ConfigError);
    expect(() => readGPT1(fields)).toThrow(message);
  });

  it.each([
    ['', `f: expected JSON, got ${syntaxError('')}. Repair the file.`],
    ['[]', 'f: expected a JSON object, got an array. Check that it is a config.json.'],
    [
      '{"model_type":"gpt2","n_embd":NaN}',
      `f: expected JSON, got ${syntaxError('{"model_type":"gpt2","n_embd":NaN}')}. Repair the file.`,
    ],
    ['{"model_type":"gpt2","n_embd":1e999}', 'the number 1e999, which no double can hold'],
    [
      '{"model_type":"gpt2","n_embd":8,"n_embd":16}',
      'f: expected JSON, got the key "n_embd" twice in one object. Repair the file.',
    ],
    ['{}', 'f: expected model_type to be one of gpt2, openai-gpt, got nothing. Other models are not supported.'],
    [
      '{"model_type":"llama"}',
      'f: expected model_type to be one of gpt2, openai-gpt, got "llama". Other models are not supported.',
    ],
    ['{"model_type":"toString"}', 'got "toString"'],
    ['{"model_type":7}', 'f: expected model_type to be one of gpt2, openai-gpt, got 7.'],
  ])('refuses the text %s', async (text, message) => {
    await expect(parseConfig(text, 'f')).rejects.toThrow(ConfigError);
    await expect(parseConfig(text, 'f')).rejects.toThrow(message);
  });

  it('answers any JSON with a valid configuration or a ConfigError', () => {
    const names = Object.keys(JSON.parse(formatConfig(gpt2, readGPT2())));
    const wild = fc.oneof(
      fc.jsonValue(),
      fc.double(),
      fc.constantFrom(0, -1, 1, 2 ** 31, 2 ** 53, 1e308, -1e308, '', 'gelu', [], {}, null, true),
    );
    const fields = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), wild);
    fc.assert(
      fc.property(fc.constantFrom(...FAMILIES), fields, (family, given) => {
        let config: GPTConfig;
        try {
          config = read(family, { ...given, model_type: family.modelType });
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        expect(complete(config)).toEqual(config);
      }),
      { numRuns: 3000 },
    );
  });
});

const small = { vocabSize: 65, blockSize: 8, nLayer: 1, nHead: 2, nEmbd: 4 };

describe('formatConfig', () => {
  it('writes keys in order, floats that Python reads as floats, and nulls for absent ids', () => {
    const text = formatConfig(gpt2, complete({ ...small, initializerRange: 0, layerNormEpsilon: 1, nInner: 5 }));
    expect(text).toContain('  "initializer_range": 0.0,\n');
    expect(text).toContain('  "layer_norm_epsilon": 1.0,\n');
    expect(text).toContain('  "bos_token_id": null,\n');
    expect(text).toContain('  "n_inner": 5,\n');
    expect(text).toContain('  "architectures": [\n    "GPT2LMHeadModel"\n  ],\n');
    expect(text.endsWith('\n}\n')).toBe(true);
    const keys = Object.keys(JSON.parse(text));
    expect(keys).toEqual([...keys].sort());
  });

  it('adds and replaces fields', () => {
    const text = formatConfig(gpt1, complete(small), {
      architectures: ['OpenAIGPTDoubleHeadsModel'],
      id2label: { 0: 'LABEL_0' },
      label2id: {},
    });
    expect(JSON.parse(text)).toMatchObject({
      architectures: ['OpenAIGPTDoubleHeadsModel'],
      id2label: { 0: 'LABEL_0' },
      label2id: {},
      afn: 'gelu',
    });
  });

  it('is read back as it was, whatever the options', () => {
    const one = fc.record({
      family: fc.constantFrom(...FAMILIES),
      nHead: fc.integer({ min: 1, max: 64 }),
      headSize: fc.integer({ min: 1, max: 128 }),
      vocabSize: fc.integer({ min: 1, max: 100_000 }),
      blockSize: fc.integer({ min: 1, max: 100_000 }),
      nLayer: fc.integer({ min: 1, max: 100 }),
      nInner: fc.integer({ min: 1, max: 100_000 }),
      layerNormEpsilon: fc.double({ min: 1e-12, max: 1, noNaN: true }),
      embdDropout: fc.double({ min: 0, max: 0.99, noNaN: true }),
      initializerRange: fc.double({ min: 0, max: 100, noNaN: true }),
      bosTokenId: fc.option(fc.nat(100_000), { nil: undefined }),
    });
    fc.assert(
      fc.property(one, ({ family, headSize, bosTokenId, nInner, ...rest }) => {
        const config = complete({
          ...rest,
          nEmbd: rest.nHead * headSize,
          nInner: family === gpt2 ? nInner : undefined,
          activation: family === gpt2 ? 'gelu-erf' : 'gelu-tanh',
          bosTokenId: bosTokenId !== undefined && bosTokenId < rest.vocabSize ? bosTokenId : undefined,
        });
        expect(read(family, JSON.parse(formatConfig(family, config)))).toEqual(config);
      }),
    );
  });

  it('refuses what the family cannot express, and what is not valid', () => {
    expect(() => formatConfig(gpt1, complete({ ...small, activation: 'gelu-erf' }))).toThrow(
      `config.json: expected activation to be 'gelu-tanh' for openai-gpt, got "gelu-erf". Save it as gpt2, or change it.`,
    );
    expect(() => formatConfig(gpt1, complete({ ...small, nInner: 5 }))).toThrow(
      'config.json: expected nInner to be 4 · nEmbd = 16 for openai-gpt, got 5. Change nInner.',
    );
    expect(() => formatConfig(gpt2, { ...complete(small), nHead: 3 })).toThrow(
      'config.json: expected nEmbd to be a multiple of nHead = 3, got 4. Change nEmbd.',
    );
  });
});

describe('quantization_config', () => {
  const own = { quant_method: 'lanewise', format: 'q8', block_size: 64 };

  it('is written and read back', async () => {
    for (const family of FAMILIES)
      for (const format of ['q8', 'q4'] as const) {
        const text = formatConfig(family, complete(small), quantizationFields(format));
        expect(JSON.parse(text).quantization_config).toEqual({
          ...own,
          format,
          block_size: format === 'q8' ? op.Q8_BLOCK : op.Q4_BLOCK,
        });
        const { config } = await parseConfig(formatConfig(family, complete(small)));
        expect(await parseConfig(text)).toEqual({ family, config, quantization: format });
      }
  });

  it('is not there for weights as floats', async () => {
    for (const family of FAMILIES) {
      const text = formatConfig(family, complete(small));
      expect(text).not.toContain('quantization');
      expect(await parseConfig(text)).not.toHaveProperty('quantization');
      const fields = { ...JSON.parse(text), quantization_config: null };
      expect(await parseConfig(JSON.stringify(fields))).not.toHaveProperty('quantization');
    }
  });

  it.each([
    ...[true, false, 0, 8, '', 'q8', [], ['q8'], {}],
    { bits: 4 },
    { format: 'q8' },
    { quant_method: 'lanewise' },
    { ...own, format: 'q5' },
    { ...own, format: 'q4' },
    { ...own, block_size: 32 },
    { ...own, block_size: '64' },
    { ...own, block_size: undefined },
    { ...own, format: 'Q8' },
    { ...own, format: ['q8'] },
    { ...own, format: null },
    { ...own, format: 'constructor' },
    { ...own, quant_method: 'gptq' },
    { ...own, quant_method: null },
    { quant_method: 'bitsandbytes', load_in_8bit: true },
    { quant_method: 'awq', bits: 4, group_size: 128 },
  ])('refuses %j', async (quantization_config) => {
    for (const family of FAMILIES) {
      const text = JSON.stringify({ model_type: family.modelType, quantization_config });
      await expect(parseConfig(text, 'm/config.json')).rejects.toThrow(ConfigError);
      await expect(parseConfig(text, 'm/config.json')).rejects.toThrow(
        /^m\/config\.json: expected quantization_config to be absent, or quant_method lanewise with format q8 and block_size 64 or format q4 and block_size 32, got .+\. Take the model in F32, F16 or BF16 and quantize it here\.$/,
      );
    }
  });
});

describe('completeConfig', () => {
  it('fills in GPT-2 small', () => {
    expect(complete()).toEqual(DEFAULTS);
    expect(complete({ nEmbd: 24, nLayer: undefined })).toMatchObject({ nEmbd: 24, nInner: 96, nLayer: 12 });
    expect(Object.isFrozen(complete())).toBe(true);
  });

  it.each<readonly [Record<string, unknown>, string]>([
    [
      { nEmb: 5 },
      'GPT2: expected one of vocabSize, blockSize, nLayer, nHead, nEmbd, nInner, activation, layerNormEpsilon, embdDropout, attnDropout, residDropout, initializerRange, bosTokenId, eosTokenId, got nEmb. Check the spelling.',
    ],
    [
      { vocabSize: '5' },
      'GPT2: expected vocabSize to be a whole number from 1 to 16777216, got "5". Change vocabSize.',
    ],
    [{ nLayer: Number.NaN }, 'GPT2: expected nLayer to be a whole number from 1 to 4096, got NaN. Change nLayer.'],
    [{ nHead: null }, 'GPT2: expected nHead to be a whole number from 1 to 1048576, got null. Change nHead.'],
    [
      { activation: 'relu' },
      `GPT2: expected activation to be 'gelu-tanh' or 'gelu-erf', got "relu". Change activation.`,
    ],
    [{ embdDropout: Number.NaN }, 'GPT2: expected embdDropout to be a number from 0 to below 1, got NaN.'],
    [{ bosTokenId: 50257 }, 'GPT2: expected bosTokenId to be a token id below vocabSize = 50257, got 50257.'],
    [{ initializerRange: {} }, 'GPT2: expected initializerRange to be a number from 0 to 100, got an object.'],
  ])('refuses %j', (options, message) => {
    expect(() => complete(options, 'GPT2')).toThrow(ConfigError);
    expect(() => complete(options, 'GPT2')).toThrow(message);
  });
});

describe('dropout while a model loads', () => {
  const folder = fileURLToPath(new URL('../fixtures/oracles/gpt2-tiny', import.meta.url));
  const load = (options: object) => loadCausalLM(folder, { threads: 1, precision: 'exact', ...options });

  it('is one number for all, or numbers by name', async () => {
    using all = await load({ dropout: 0.25 });
    expect(all.config).toMatchObject({ embdDropout: 0.25, attnDropout: 0.25, residDropout: 0.25 });
    using one = await load({ dropout: { attnDropout: 0.5 } });
    expect(one.config).toMatchObject({ attnDropout: 0.5 });
  });

  it.each([
    [{ dropout: 1 }, 'load: expected embdDropout to be a number from 0 to below 1, got 1. Change embdDropout.'],
    [
      { dropout: { attention: 0 } },
      'load: expected dropout to be of embdDropout, attnDropout, residDropout for gpt2, got attention. Check the spelling.',
    ],
    [
      { dropout: null },
      'load: expected dropout to be a number, or numbers by the names embdDropout, attnDropout, residDropout, got null. Change dropout.',
    ],
    [
      { dropout: '0.1' },
      'load: expected dropout to be a number, or numbers by the names embdDropout, attnDropout, residDropout, got "0.1". Change dropout.',
    ],
    // As before there were families: ignoring it would train another model.
    [{ attnDropout: 0 }, 'load: expected { dropout: { attnDropout } }, got attnDropout. It would be ignored.'],
  ])('refuses %o', async (options, message) => {
    await expect(load(options)).rejects.toThrow(ConfigError);
    await expect(load(options)).rejects.toThrow(message);
  });
});

describe('a family’s name', () => {
  it.each([
    ['openai-gpt', 'Its name here is gpt1.'],
    ['gpt3', 'Check the spelling.'],
  ])('%s is refused', async (name, hint) => {
    await expect(createModel(name as never)).rejects.toThrow(
      new ConfigError(`createModel: expected one of the families gpt2, gpt1, got "${name}". ${hint}`),
    );
  });
});

describe('a named size', () => {
  it('is overridden by the options that are given, not by undefined ones', async () => {
    using model = await createModel('gpt2', { size: 'tiny', nLayer: undefined, blockSize: 8, threads: 1 });
    expect(model.config).toMatchObject({ nLayer: 2, nHead: 2, nEmbd: 64, vocabSize: 256, blockSize: 8 });
  });
});
