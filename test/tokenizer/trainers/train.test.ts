/** Trained vocabularies against Hugging Face's trainer. */
import { describe, expect, test } from 'vitest';
import { trainTokenizer } from '../../../src/tokenizer/index.ts';
import { expectSameAsNative, mobyDick, nativeOf, readFixture, readShared } from '../support.ts';

describe("byte-level BPE is learned as by Hugging Face's trainer", () => {
  test.for([400, 1024, 4096])('tinyshakespeare, %i tokens', async (vocabSize, context) => {
    const text = readShared('text/tinyshakespeare.txt', context);
    const tokenizer = await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize });
    const { vocabJson, mergesTxt } = tokenizer.toVocabAndMerges!();
    expect(vocabJson).toBe(readFixture(`${vocabSize}/vocab.json`));
    expect(mergesTxt).toBe(readFixture(`${vocabSize}/merges.txt`));
    const { tokens_of_text } = JSON.parse(readFixture(`${vocabSize}/meta.json`));
    expect(tokenizer.encode(text).length).toBe(tokens_of_text);
  });

  test('Moby Dick, 1024 tokens', async () => {
    const text = mobyDick();
    const tokenizer = await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: 1024 });
    const { vocabJson, mergesTxt } = tokenizer.toVocabAndMerges!();
    expect(vocabJson).toBe(readFixture('moby-dick-1024/vocab.json'));
    expect(mergesTxt).toBe(readFixture('moby-dick-1024/merges.txt'));
    expect(tokenizer.encode(text).length).toBe(JSON.parse(readFixture('moby-dick-1024/meta.json')).tokens_of_text);
    await expectSameAsNative(tokenizer, nativeOf(tokenizer), text.slice(0, 100_000));
  });

  test('40 small texts with many ties', async () => {
    const cases = JSON.parse(readFixture('small.json'));
    expect(cases).toHaveLength(40);
    for (const { texts, learned, merges, ...options } of cases) {
      const tokenizer = await trainTokenizer(texts, { kind: 'byte-level-bpe', ...options });
      expect(tokenizer.toJSON().model.merges).toEqual(merges);
      const first = tokenizer.vocabSize - learned.length;
      expect(learned.map((_: string, i: number) => tokenizer.idToToken(first + i))).toEqual(learned);
      expect([...tokenizer.specialTokens.keys()].sort()).toEqual([...options.specialTokens].sort());
    }
  });
});

describe('trainTokenizer', () => {
  test('takes documents as a string, an array or an async iterable; words do not cross documents', async () => {
    async function* documents() {
      yield 'ab ab';
      yield 'ab';
    }
    const options = { kind: 'byte-level-bpe', vocabSize: 259 } as const;
    const fromArray = await trainTokenizer(['ab ab', 'ab'], options);
    expect(fromArray.toJSON().model.merges).toEqual([
      ['a', 'b'],
      ['Ġ', 'ab'],
    ]);
    expect(await trainTokenizer(documents(), options).then(String)).toEqual(String(fromArray));
    expect((await trainTokenizer(documents(), options)).toJSON()).toEqual(fromArray.toJSON());
    expect((await trainTokenizer('abab', options)).toJSON()).not.toEqual(fromArray.toJSON());
  });

  test('stops early when there is nothing more to learn, or too little', async () => {
    const text = 'to be or not to be';
    expect((await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: 9999 })).vocabSize).toBeLessThan(280);
    const rare = await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: 9999, minFrequency: 3 });
    expect(rare.vocabSize).toBe(257);
    expect((await trainTokenizer('', { kind: 'byte-level-bpe', vocabSize: 300 })).vocabSize).toBe(257);
  });

  test('can be cancelled', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const options = { kind: 'byte-level-bpe', vocabSize: 300, signal } as const;
    await expect(trainTokenizer('to be', options)).rejects.toThrow('enough');
  });

  test('lets other work go on', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const text = Array.from({ length: 60_000 }, (_, i) => ` ${(i * 7919).toString(36)}`).join('');
    await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: 3000 });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });

  test.each([
    [{ kind: 'unigram' }, 'trainTokenizer: expected kind "byte-level-bpe", "char" or "byte", got "unigram".'],
    [{ kind: 'byte-level-bpe' }, 'trainTokenizer: expected vocabSize, an integer of 257 … 2097152, got nothing.'],
    [{ kind: 'byte-level-bpe', vocabSize: 256 }, 'an integer of 257 … 2097152, got 256.'],
    [{ kind: 'byte-level-bpe', vocabSize: 300.5 }, 'an integer of 257 … 2097152, got 300.5.'],
    [{ kind: 'byte-level-bpe', vocabSize: 2 ** 22 }, 'an integer of 257 … 2097152, got 4194304.'],
    [{ kind: 'byte', vocabSize: 255 }, 'an integer of 256 … 2097152, got 255.'],
    [{ kind: 'byte', specialTokens: ['a', 'a'] }, 'expected special tokens that differ and are not empty'],
    [{ kind: 'byte', specialTokens: [''] }, 'expected special tokens that differ and are not empty'],
    [{ kind: 'byte', minFrequency: -1 }, 'expected minFrequency of 0 or more, got -1.'],
  ])('refuses %o', async (options, message) => {
    await expect(trainTokenizer('to be', options as never)).rejects.toThrow(message);
  });

  test('refuses what is no text', async () => {
    const options = { kind: 'byte-level-bpe', vocabSize: 300 } as const;
    await expect(trainTokenizer([7] as never, options)).rejects.toThrow('expected texts as strings, got 7.');
  });
});
