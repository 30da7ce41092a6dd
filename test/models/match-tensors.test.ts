/** Matching a checkpoint's tensors with a model's, by names and shapes. */
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { openWeights, saveWeights } from '../../src/formats/index.ts';
import { completeConfig } from '../../src/models/create.ts';
import { gpt1 } from '../../src/models/gpt1/family.ts';
import { gpt2 } from '../../src/models/gpt2/family.ts';
import { matchTensors, type ShapedNames } from '../../src/models/match-tensors.ts';
import { blueprint } from '../../src/models/model.ts';
import { f32Entry } from '../formats/f32-entry.ts';

const config = completeConfig(gpt2, { vocabSize: 5, blockSize: 4, nLayer: 2, nHead: 1, nEmbd: 2 }, 'test');
const tensors = blueprint(gpt2, config).parameters.list;
const wanted = tensors.map((tensor) => tensor.name);
const hub = wanted.map((name) => name.slice('transformer.'.length));

describe('the parameters of a model', () => {
  it('are what transformers saves, 12 per block', () => {
    expect(wanted.length).toBe(2 + 2 * 12 + 2);
    expect(blueprint(gpt1, config).parameters.list.length).toBe(2 + 2 * 12);
    const { parameters } = blueprint(gpt2, { ...config, nInner: 3 });
    expect(parameters.get('transformer.h.1.mlp.c_proj.weight').shape).toEqual([3, 2]);
  });
});

/** Weights of these names, each of shape [1]. */
function named(names: readonly string[]): ShapedNames {
  return { names, info: () => ({ shape: [1], file: 'f' }) };
}
const ones = (names: readonly string[]) => names.map((name) => ({ name, shape: [1] }));
const foundAs = (names: readonly string[], name: string, family: Pick<typeof gpt2, 'names'> = gpt2) =>
  matchTensors(named(names), ones([name]), family.names).found.get(name);

describe('names', () => {
  it('are found with and without the prefix, and a tied one under its other name', () => {
    expect(foundAs(['transformer.wpe.weight', 'wpe.weight'], 'transformer.wpe.weight')).toBe('transformer.wpe.weight');
    expect(foundAs(['wpe.weight'], 'transformer.wpe.weight')).toBe('wpe.weight');
    expect(foundAs(['lm_head.weight'], 'transformer.wte.weight')).toBe('lm_head.weight');
    expect(foundAs(['lm_head.weight'], 'transformer.tokens_embed.weight', gpt1)).toBe('lm_head.weight');
    expect(() => foundAs(['lm_head.weight'], 'transformer.wpe.weight')).toThrow('got none of that name');
    expect(() => foundAs(['x'], 'y')).toThrow('f: expected tensor "y", got none of that name.');
  });

  it('of the original gpt2: no prefix, masks among the tensors', () => {
    const masks = ['h.0.attn.bias', 'h.1.attn.bias', 'h.0.attn.masked_bias', 'transformer.h.1.attn.masked_bias'];
    const names = [...hub, ...masks, 'lm_head.weight', 'score.weight', 'h.0.attn.bias.x'];
    const match = matchTensors(named(names), ones(wanted), gpt2.names);
    expect([...match.found]).toEqual(wanted.map((name, i) => [name, hub[i]]));
    expect(match.ignored).toEqual([...masks, 'lm_head.weight']);
    expect(match.unexpected).toEqual(['score.weight', 'h.0.attn.bias.x']);
  });

  it('of old GPT-1 files: positions are ignored, an output layer beside no table is not', () => {
    const names = ['transformer.position_ids', 'position_ids', 'lm_head.weight', 'transformer.ln_f.bias'];
    const match = matchTensors(named(names), ones(['transformer.ln_f.bias']), gpt1.names);
    expect(match.ignored).toEqual(['transformer.position_ids', 'position_ids']);
    expect(match.unexpected).toEqual(['lm_head.weight']);
  });
});

describe('matchTensors', () => {
  async function weightsOf(
    change: (name: string, shape: readonly number[]) => [string, readonly number[]] | undefined,
  ) {
    const directory = memoryDirectory({}, 'model');
    const entries = tensors.flatMap(({ name, shape }) => {
      const changed = change(name, shape);
      if (changed === undefined) return [];
      return [f32Entry(changed[0], changed[1], new Float32Array(changed[1].reduce((a, b) => a * b, 1)))];
    });
    await saveWeights(directory, entries);
    return openWeights(directory);
  }

  it('accepts the model', async () => {
    const weights = await weightsOf((name, shape) => [name, shape]);
    expect(matchTensors(weights, tensors, gpt2.names).unexpected).toEqual([]);
  });

  it('names the first missing tensor, and a shape that differs', async () => {
    const hint = 'Check that config.json and weights belong together.';
    const short = await weightsOf((name, shape) => (name.includes('ln_f') ? undefined : [name, shape]));
    expect(() => matchTensors(short, tensors, gpt2.names)).toThrow(CheckpointError);
    expect(() => matchTensors(short, tensors, gpt2.names)).toThrow(
      `model/model.safetensors: expected tensor "transformer.ln_f.weight" and 1 more, got none of that name. ${hint}`,
    );
    for (const other of [[2, 5], [5, 2, 1], [10]]) {
      const turned = await weightsOf((name, shape) => [name, name.includes('wte') ? other : shape]);
      expect(() => matchTensors(turned, tensors, gpt2.names)).toThrow(
        `model/model.safetensors: expected tensor "transformer.wte.weight" to have shape [5, 2], got [${other.join(', ')}]. ${hint}`,
      );
    }
    const none = await weightsOf(() => undefined);
    expect(() => matchTensors(none, tensors, gpt2.names)).toThrow(/"transformer\.wte\.weight" and 27 more/);
  });
});
