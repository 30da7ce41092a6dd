/** Text generation with models that say a text by heart: characters, stop strings, ends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError, DisposedError } from '../../src/errors.ts';
import { TextModel, type TextOptions } from '../../src/generation/text-model.ts';
import { type Tokenizer, trainTokenizer } from '../../src/tokenizer/index.ts';
import { scriptedModel, tinyModel } from './models.ts';

/** Pieces and result of a generation. */
async function collect<P, R>(generation: AsyncGenerator<P, R, undefined>): Promise<{ pieces: P[]; result: R }> {
  const pieces: P[] = [];
  for (;;) {
    const step = await generation.next();
    if (step.done) return { pieces, result: step.value };
    pieces.push(step.value);
  }
}

let bytes: Tokenizer;
beforeAll(async () => {
  bytes = await trainTokenizer('', { kind: 'byte' });
});

/** A model that continues the prompt "x" with a text, byte by byte. */
async function saying(text: string): Promise<TextModel> {
  return new TextModel(await scriptedModel([...bytes.encode(text)], 256), bytes);
}

async function say(
  text: string,
  options: TextOptions,
): Promise<{ pieces: string[]; text: string; reason: string; ids: number }> {
  using gpt = await saying(text);
  const { pieces, result } = await collect(gpt.generate('x', { temperature: 0, ...options }));
  expect(pieces.join('')).toBe(result.text);
  expect(pieces).not.toContain('');
  return { pieces, text: result.text, reason: result.finishReason, ids: result.tokenIds.length };
}

describe('generate', () => {
  it('never splits a character', async () => {
    const text = 'né 🙂 👩‍💻!';
    const { pieces } = await say(text, { maxNewTokens: bytes.encode(text).length });
    expect(pieces).toEqual([...text]);
  });

  it('ends with U+FFFD when a character stays incomplete', async () => {
    expect(await say('a🙂', { maxNewTokens: 4 })).toEqual({
      pieces: ['a', '\ufffd'],
      text: 'a\ufffd',
      reason: 'length',
      ids: 4,
    });
  });

  it('never lets a stop string out, also when it comes in several tokens', async () => {
    expect(await say('one two\n\nQ: three', { stop: '\n\nQ:' })).toEqual({
      pieces: [...'one two'],
      text: 'one two',
      reason: 'stop',
      ids: 11,
    });
    expect(await say('a\n\nb\n\nQ', { stop: ['zzz', '\n\nQ'] })).toMatchObject({ text: 'a\n\nb', reason: 'stop' });
    expect(await say('a🙂b', { stop: '🙂' })).toMatchObject({ text: 'a', reason: 'stop', ids: 5 });
    expect(await say('abc', { stop: 'c', maxNewTokens: 3 })).toMatchObject({ text: 'ab', reason: 'stop' });
  });

  it('lets out what was held back when the end comes first', async () => {
    expect(await say('ab\n\nc', { stop: '\n\nQ', maxNewTokens: 4 })).toMatchObject({
      pieces: ['a', 'b', '\n\n'],
      reason: 'length',
    });
  });

  it('counts special tokens in the prompt, ends at the end of text, and starts from it', async () => {
    const tokenizer = await trainTokenizer('', { kind: 'byte', specialTokens: ['<|endoftext|>'] });
    const script = [...tokenizer.encode('ab<|endoftext|>cd')];
    using gpt = new TextModel(await scriptedModel(script, 257), tokenizer);
    const options = { temperature: 0, maxNewTokens: 4 };
    expect(await gpt.complete('', options)).toMatchObject({ text: 'ab', finishReason: 'endOfText', promptTokens: 1 });
    expect(await gpt.complete('<|endoftext|>', options)).toMatchObject({ text: 'ab', promptTokens: 1 });
    expect(await gpt.complete('', { ...options, stopAtEndOfText: false })).toMatchObject({ text: 'ab<|endoftext|>c' });
  });

  it('advises when an empty prompt has nothing to start from', async () => {
    using gpt = await saying('abc');
    expect(() => gpt.generate('')).toThrow(
      'generate: expected a prompt of at least one token, got none. Give some text, or set endOfText to the id that begins a document.',
    );
  });

  it('never draws an id that the tokenizer does not have', async () => {
    using model = await scriptedModel([300, 97], 512);
    const gpt = new TextModel(model, bytes);
    for (const id of (await gpt.complete('x', { maxNewTokens: 20, temperature: 3 })).tokenIds)
      expect(id).toBeLessThan(256);
  });

  it('checks its options at once', async () => {
    using gpt = await saying('abc');
    expect(() => gpt.generate('x', { temperature: -1 })).toThrow(ConfigError);
    expect(() => gpt.generate('x', { stop: '' })).toThrow(ConfigError);
  });

  it('frees its memory on break', async () => {
    using gpt = await saying('abcdefgh');
    const used = gpt.model.engine.usedBytes;
    for await (const piece of gpt.generate('x', { temperature: 0, stop: 'zz' })) {
      expect(piece).toBe('a');
      expect(gpt.model.engine.usedBytes).toBeGreaterThan(used);
      break;
    }
    expect(gpt.model.engine.usedBytes).toBe(used);
  });

  it('throws the reason of its signal and DisposedError', async () => {
    const gpt = await saying('abc');
    const reason = new Error('enough');
    await expect(gpt.complete('x', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    gpt.dispose();
    gpt.dispose();
    await expect(gpt.complete('x')).rejects.toThrow(DisposedError);
  });
});

describe('generateBatch', () => {
  it('gives each prompt its text, and ends each at its stop string', async () => {
    using gpt = await saying('0123456789');
    const { pieces, result } = await collect(
      gpt.generateBatch(['x', 'xxx', 'xx'], { temperature: 0, maxNewTokens: 6, stop: '45' }),
    );
    expect(result.sequences.map(({ text, finishReason }) => [text, finishReason])).toEqual([
      ['0123', 'stop'],
      ['23', 'stop'],
      ['123', 'stop'],
    ]);
    for (const [i, { text }] of result.sequences.entries())
      expect(pieces.flatMap(({ index, piece }) => (index === i ? [piece] : [])).join('')).toBe(text);
  });

  it('gives what each prompt gives alone', async () => {
    using gpt = new TextModel(await tinyModel(), bytes);
    const prompts = ['To be', 'or not', 'to be, that is'];
    const options = { maxNewTokens: 20, seed: 9 };
    const { result } = await collect(gpt.generateBatch(prompts, options));
    for (const [sequence, prompt] of prompts.entries())
      expect((await gpt.complete(prompt, { ...options, sequence })).text).toBe(result.sequences[sequence]!.text);
  });
});

describe('TextModel', () => {
  let gpt: TextModel;
  beforeAll(async () => {
    gpt = new TextModel(await tinyModel(), bytes);
  });
  afterAll(() => gpt.dispose());

  it('scores a text', async () => {
    const { tokens, loss, perplexity } = await gpt.score('To be, or not');
    expect(tokens).toBe(12);
    expect(perplexity).toBeCloseTo(Math.exp(loss));
    await expect(gpt.score('x')).rejects.toThrow(DataError);
  });

  it('sums itself up', () => {
    expect(gpt.summary()).toContain(gpt.model.summary());
    expect(gpt.summary()).toMatch(/\nTokenizer: 256 tokens$/);
  });

  it('refuses a tokenizer with more tokens than the model', async () => {
    const special = Array.from({ length: 300 }, (_, i) => `<${i}>`);
    const larger = await trainTokenizer('', { kind: 'byte', specialTokens: special });
    expect(() => new TextModel(gpt.model, larger)).toThrow(
      new ConfigError(
        'TextModel: expected a tokenizer of at most 512 tokens, got 556. Use the tokenizer that the model was trained with.',
      ),
    );
  });
});
