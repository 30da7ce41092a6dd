/** Matching a checkpoint's tensor names with a model's. */
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import {
  completeGPTConfig,
  f32Entry,
  modelTensors,
  openWeights,
  resolveTensorName,
  resolveTensorNames,
  saveWeights,
} from '../../src/formats/index.ts';

const config = completeGPTConfig({ vocabSize: 5, blockSize: 4, nLayer: 2, nHead: 1, nEmbd: 2 });
const wanted = modelTensors('gpt2', config).map((tensor) => tensor.name);
const hub = wanted.map((name) => name.slice('transformer.'.length));

describe('modelTensors', () => {
  it('lists what transformers saves, 12 per block', () => {
    expect(wanted.length).toBe(2 + 2 * 12 + 2);
    expect(modelTensors('openai-gpt', config).length).toBe(2 + 2 * 12);
    expect(modelTensors('gpt2', { ...config, nInner: 3 })).toContainEqual({
      name: 'transformer.h.1.mlp.c_proj.weight',
      shape: [3, 2],
    });
  });
});

describe('resolveTensorName', () => {
  it('finds a tensor with and without the prefix, and a tied one under its other name', () => {
    expect(resolveTensorName(new Set(['transformer.wpe.weight', 'wpe.weight']), 'transformer.wpe.weight')).toBe(
      'transformer.wpe.weight',
    );
    expect(resolveTensorName(new Set(['wpe.weight']), 'transformer.wpe.weight')).toBe('wpe.weight');
    expect(resolveTensorName(new Set(['lm_head.weight']), 'transformer.wte.weight')).toBe('lm_head.weight');
    expect(resolveTensorName(new Set(['lm_head.weight']), 'transformer.tokens_embed.weight')).toBe('lm_head.weight');
    expect(resolveTensorName(new Set(['lm_head.weight']), 'transformer.wpe.weight')).toBeUndefined();
    expect(resolveTensorName(new Set(['x']), 'y')).toBeUndefined();
  });
});

describe('resolveTensorNames', () => {
  it('reads the original gpt2: no prefix, masks among the tensors', () => {
    const masks = ['h.0.attn.bias', 'h.1.attn.bias', 'h.0.attn.masked_bias', 'transformer.h.1.attn.masked_bias'];
    const match = resolveTensorNames([...hub, ...masks, 'lm_head.weight', 'score.weight', 'h.0.attn.bias.x'], wanted);
    expect([...match.found]).toEqual(wanted.map((name, i) => [name, hub[i]]));
    expect(match.missing).toEqual([]);
    expect(match.ignored).toEqual([...masks, 'lm_head.weight']);
    expect(match.unexpected).toEqual(['score.weight', 'h.0.attn.bias.x']);
  });

  it('ignores the positions of old GPT-1 files, and keeps what is missing', () => {
    const match = resolveTensorNames(
      ['transformer.position_ids', 'position_ids', 'lm_head.weight'],
      ['transformer.ln_f.bias'],
    );
    expect(match).toEqual({
      found: new Map(),
      missing: ['transformer.ln_f.bias'],
      ignored: ['transformer.position_ids', 'position_ids'],
      unexpected: ['lm_head.weight'],
    });
  });
});

describe('checkTensors', () => {
  async function weightsOf(
    change: (name: string, shape: readonly number[]) => [string, readonly number[]] | undefined,
  ) {
    const directory = memoryDirectory({}, 'model');
    const entries = modelTensors('gpt2', config).flatMap(({ name, shape }) => {
      const changed = change(name, shape);
      if (changed === undefined) return [];
      return [f32Entry(changed[0], changed[1], new Float32Array(changed[1].reduce((a, b) => a * b, 1)))];
    });
    await saveWeights(directory, entries);
    return openWeights(directory);
  }

  it('accepts the model', async () => {
    const weights = await weightsOf((name, shape) => [name, shape]);
    expect(checkTensors(weights, modelTensors('gpt2', config)).unexpected).toEqual([]);
  });

  it('names the first missing tensor, and a shape that differs', async () => {
    const hint = 'Check that config.json and weights belong together.';
    const short = await weightsOf((name, shape) => (name.includes('ln_f') ? undefined : [name, shape]));
    expect(() => checkTensors(short, modelTensors('gpt2', config))).toThrow(CheckpointError);
    expect(() => checkTensors(short, modelTensors('gpt2', config))).toThrow(
      `model/model.safetensors: expected tensor "transformer.ln_f.weight" and 1 more, got none of that name. ${hint}`,
    );
    for (const other of [[2, 5], [5, 2, 1], [10]]) {
      const turned = await weightsOf((name, shape) => [name, name.includes('wte') ? other : shape]);
      expect(() => checkTensors(turned, modelTensors('gpt2', config))).toThrow(
        `model/model.safetensors: expected tensor "transformer.wte.weight" to have shape [5, 2], got [${other.join(', ')}]. ${hint}`,
      );
    }
    const none = await weightsOf(() => undefined);
    expect(() => checkTensors(none, modelTensors('gpt2', config))).toThrow(/"transformer\.wte\.weight" and 27 more/);
  });
});
