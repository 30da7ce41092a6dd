/** A family of another package takes one folder and one entry of the registry: it trains, saves, loads, generates, and takes adapters. */
import { afterAll, describe, expect, it } from 'vitest';
import { createModelOf, type Family, registerFamily } from '../../src/family.ts';
import {
  addLora,
  ConfigError,
  causalLanguageModel,
  loadCausalLM,
  loadModel,
  memoryDirectory,
  parseConfig,
  scoreTokens,
  Trainer,
  tokenDataset,
  trainTokenizer,
} from '../../src/index.ts';
import { asCausalLM, blueprint } from '../../src/models/model.ts';
import { type ToyConfig, toy } from './toy-family/family.ts';

registerFamily('toy', { modelType: 'toy', sizes: { small: { width: 16 } }, load: async () => toy });

const TEXT = 'the whale and the sea. '.repeat(60);
const tokenizer = await trainTokenizer(TEXT, { kind: 'char' });
const ids = tokenizer.encode(TEXT);
const model = await createModelOf(
  toy,
  { vocabSize: tokenizer.vocabSize, blockSize: 23 },
  { seed: 1, threads: 1, precision: 'exact' },
);
afterAll(() => model.dispose());

describe('registerFamily', () => {
  const load = async () => toy;

  it('takes the same entry again', () => {
    const entry = { modelType: 'toy-again', sizes: {}, load };
    for (let i = 0; i < 2; i++) registerFamily('again', entry);
  });

  it.each([
    ['gpt2', { modelType: 'mine', sizes: {}, load }, 'a name of its own, got that of a family, "gpt2"'],
    ['toy', { modelType: 'toy', sizes: {}, load }, 'a name of its own, got that of a family, "toy"'],
    ['mine', { modelType: 'openai-gpt', sizes: {}, load }, 'a modelType of its own, got that of gpt1, "openai-gpt"'],
    ['mine', { modelType: 'mine', sizes: {} }, 'modelType, sizes and load, got an entry without one of them'],
    ['mine', undefined, 'modelType, sizes and load, got an entry without one of them'],
  ])('refuses %s, %o', async (name, entry, message) => {
    expect(() => registerFamily(name, entry as never)).toThrow(ConfigError);
    expect(() => registerFamily(name, entry as never)).toThrow(
      `registerFamily: expected ${message}. Change the entry or its name.`,
    );
    expect((await parseConfig('{"model_type":"gpt2"}')).config.vocabSize).toBe(50257);
  });
});

describe('a toy family', () => {
  const folder = memoryDirectory();

  it('trains', async () => {
    const data = tokenDataset(ids, { evalFraction: 0 });
    const options = { batchSize: 8, length: 23, steps: 150, learningRate: 0.03, weightDecay: 0 };
    const losses: number[] = [];
    for await (const { loss } of new Trainer(causalLanguageModel(model), data, options).run()) losses.push(loss);
    expect(losses[0]!).toBeGreaterThan(2);
    // It sees a token and a position, but not which text began where: `e` goes on in two ways, ` ` in four.
    expect(losses.at(-1)!).toBeLessThan(0.75);
  });

  it('saves, and loads with other dtypes', async () => {
    await model.save(folder, { tokenizer });
    expect(JSON.parse(await folder.readText('config.json'))).toMatchObject({ model_type: 'toy', layers: 2 });
    const { loss } = await scoreTokens(model, [ids.slice(0, 23)]);
    for (const dtype of ['f32', 'q8', 'q4'] as const) {
      using loaded = await loadCausalLM(folder, { dtype, threads: 2, precision: 'exact' });
      expect(loaded.config).toEqual(model.config);
      const again = await scoreTokens(loaded, [ids.slice(0, 23)]);
      if (dtype === 'f32') expect(again.loss).toBe(loss);
      expect(Math.abs(again.loss - loss)).toBeLessThan({ f32: 0, q8: 0.02, q4: 0.3 }[dtype] + 1e-9);
    }
  });

  it('generates, one sequence or several, as it does alone', async () => {
    using text = await loadModel(folder, { threads: 1, precision: 'exact' });
    const options = { maxNewTokens: 12, temperature: 0 };
    const alone = await text.complete('the ', options);
    expect(alone.text).toMatch(/^(the|and|whale|sea)\b/);
    const pieces = ['', ''];
    for await (const { index, piece } of text.generateBatch(['the ', 'and '], options)) pieces[index] += piece;
    expect(pieces[0]).toBe(alone.text);
    expect(text.summary()).toContain('Model: toy, 2 layers, 32 wide, context 23');
    expect(text.summary()).toContain('toy.layers.0.down (Linear)');
  });

  it('takes adapters, and merges them', async () => {
    const lora = await addLora(await loadCausalLM(folder, { threads: 1, precision: 'exact' }), { rank: 2, seed: 1 });
    expect(lora.lora.targetModules).toEqual(['up', 'down']);
    const data = tokenDataset(
      ids.map((_, i) => ids[(i * 5) % ids.length]!),
      { evalFraction: 0 },
    );
    const options = { batchSize: 4, length: 23, steps: 20, learningRate: 0.05 };
    const losses: number[] = [];
    for await (const { loss } of new Trainer(causalLanguageModel(lora), data, options).run()) losses.push(loss);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.3);
    const before = await scoreTokens(lora, [ids.slice(0, 20)]);
    const merged = await lora.merge();
    const after = await scoreTokens(merged, [ids.slice(0, 20)]);
    expect(Math.abs(after.loss - before.loss)).toBeLessThan(1e-5);
    merged.dispose();
  });

  it('is no causal language model with another head', () => {
    const head = { kind: 'classification' };
    const classifier: Family<ToyConfig> = { ...toy, build: (scope, config) => ({ ...toy.build(scope, config), head }) };
    expect(() => asCausalLM(blueprint(classifier, model.config), 'here')).toThrow(
      'here: expected a causal language model, got a classification model of toy. Choose another model.',
    );
  });

  it('is refused by its options’ names', async () => {
    await expect(createModelOf(toy, { width: 33 })).rejects.toThrow(
      'createModel: expected width to be a multiple of layers = 2, got 33. Change width.',
    );
    await folder.write('config.json', '{"model_type":"toy","layers":0}');
    await expect(loadCausalLM(folder)).rejects.toThrow('expected layers to be a whole number from 1 to 100, got 0.');
  });
});
