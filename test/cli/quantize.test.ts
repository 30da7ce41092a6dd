/** `lanewise quantize` and `--dtype`: smaller models that every verb reads, and what is refused. */

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDirectory } from '../../src/files/index.ts';
import { openWeights } from '../../src/formats/index.ts';
import { lanewise, lastJson, sha256, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const model = folder.at('model');
const DTYPES = ['f16', 'bf16', 'q8', 'q4'] as const;
/** What the verbs say of the model that is quantized. */
const original: Record<'info' | 'score', Record<string, unknown>> = { info: {}, score: {} };

beforeAll(async () => {
  // Wider than TINY, so that scales do not take more than the weights.
  await succeed([
    'train',
    '--data',
    text,
    '--out',
    model,
    ...TINY,
    '--width',
    '64',
    '--steps',
    '40',
    '--save-every',
    '0',
  ]);
  mkdirSync(folder.at('nothing'));
  await Promise.all(DTYPES.map((to) => succeed(['quantize', model, '--to', to, '--out', folder.at(to)])));
  original.info = lastJson((await succeed(['info', model, '--json'])).stdout);
  original.score = await score(model);
});
afterAll(() => folder.remove());

const EXACT = ['--precision', 'exact', '--threads', '1'];
const generate = async (dir: string, ...flags: string[]) => {
  const args = ['--prompt', 'the whale', '--max-new-tokens', '24', '--seed', '1', '--json', ...EXACT, ...flags];
  return lastJson((await succeed(['generate', dir, ...args])).stdout);
};
const score = async (dir: string, ...flags: string[]) =>
  lastJson((await succeed(['score', dir, '--text', text, '--json', ...EXACT, ...flags])).stdout);

async function refusal(args: readonly string[]): Promise<string> {
  const { code, signal, stdout, stderr } = await lanewise(args.map((argument) => argument.replace('…', folder.path)));
  expect({ code, signal, stdout }).toEqual({ code: 2, signal: null, stdout: '' });
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stderr.split('\n')).toHaveLength(2); // one line and its end
  return stderr.trimEnd().replaceAll(folder.path, '…');
}

/** Element types of a folder's tensors, and bytes of all. */
async function weightsIn(dir: string) {
  const weights = await openWeights(await openDirectory(dir));
  const all = weights.names.map((name) => weights.info(name));
  await weights.close();
  const bytes = all.reduce((sum, { begin, end }) => sum + end - begin, 0);
  return { dtypes: [...new Set(all.map(({ dtype }) => dtype))].sort(), bytes };
}

describe.each(DTYPES)('%s', (to) => {
  test('writes a folder like any other, smaller', async () => {
    const [before, after] = [await weightsIn(model), await weightsIn(folder.at(to))];
    expect(after.dtypes).toEqual(['F32', { f16: 'F16', bf16: 'BF16', q8: 'U8', q4: 'U8' }[to]].sort());
    expect(after.bytes / before.bytes).toBeLessThan({ f16: 0.6, bf16: 0.6, q8: 0.4, q4: 0.3 }[to]);
    expect(readFileSync(folder.at(`${to}/tokenizer.json`))).toEqual(readFileSync(`${model}/tokenizer.json`));
    const [config, original] = [folder.at(to), model].map((dir) =>
      JSON.parse(readFileSync(`${dir}/config.json`, 'utf8')),
    );
    const { quantization_config, ...rest } = config;
    expect(rest).toEqual(original);
    expect(quantization_config).toEqual(
      to === 'q8' || to === 'q4'
        ? { quant_method: 'lanewise', format: to, block_size: to === 'q8' ? 64 : 32 }
        : undefined,
    );
  });

  test('info, generate and score read it, as they read the original with --dtype', async () => {
    const isQuantized = to === 'q8' || to === 'q4';
    const flags = isQuantized ? [] : ['--dtype', to];
    const { dtypes, bytes } = await weightsIn(folder.at(to));
    const info = lastJson((await succeed(['info', folder.at(to), '--json'])).stdout);
    expect({ ...info, dtypes: (info.dtypes as string[]).sort() }).toEqual({
      ...original.info,
      dir: folder.at(to),
      weightBytes: bytes,
      dtypes,
    });
    const [own, loaded] = await Promise.all([generate(folder.at(to), ...flags), generate(model, '--dtype', to)]);
    expect(own).toMatchObject({ dtype: to, text: loaded.text, tokenIds: loaded.tokenIds });
    expect(own.tokenIds).toHaveLength(24);
    const [a, b] = await Promise.all([score(folder.at(to), ...flags), score(model, '--dtype', to)]);
    expect(a).toMatchObject({ dtype: to, loss: b.loss, logProbabilities: b.logProbabilities });
    expect(original.score).toMatchObject({ dtype: 'f32' });
    expect(a.loss).not.toBe(original.score.loss);
    expect(Math.abs((a.loss as number) - (original.score.loss as number))).toBeLessThan(to === 'q4' ? 0.05 : 0.005);
  });
});

describe('quantize', () => {
  test('says what it did; --json: every documented field', async () => {
    const { stdout, stderr } = await succeed(['quantize', model, '--to', 'q8', '--out', folder.at('said')]);
    expect(stdout).toMatch(/^q8: [\d.]+ KiB of weights, where .*model has [\d.]+ KiB\nsaved in .*said\n$/);
    expect(stderr).toBe('');
    const out = folder.at('json/deep');
    const { stdout: json } = await succeed(['quantize', model, '--to', 'q4', '--out', out, '--json', '--threads', '2']);
    expect(json.trimEnd().split('\n')).toHaveLength(1);
    const { parameters } = original.info;
    const result = lastJson(json);
    const { bytes } = await weightsIn(out);
    expect(result).toEqual({
      out,
      dtype: 'q4',
      parameters,
      weightBytes: bytes,
      memoryBytes: expect.any(Number),
      seconds: expect.any(Number),
    });
    // Parameters stand at multiples of 64 bytes.
    expect(result.memoryBytes).toBeGreaterThanOrEqual(bytes);
    expect(result.memoryBytes).toBeLessThan(bytes + 64 * 20);
  });

  test('the bits do not depend on the number of threads', async () => {
    await succeed(['quantize', model, '--to', 'q4', '--out', folder.at('threads'), '--threads', '3']);
    expect(sha256(folder.at('threads/model.safetensors'))).toBe(sha256(folder.at('q4/model.safetensors')));
  });

  test('info names the dtype', async () => {
    const { stdout } = await succeed(['info', folder.at('q8')]);
    expect(stdout).toContain('Bytes (q8)\n');
    expect(stdout).toMatch(/\nWeights: U8, F32, [\d.]+ KiB\n/);
  });

  test('what has 16 bits, and what is quantized already', async () => {
    await succeed(['quantize', folder.at('f16'), '--to', 'q8', '--out', folder.at('f16-q8')]);
    await succeed(['quantize', folder.at('f16'), '--to', 'f16', '--out', folder.at('f16-f16')]);
    expect(sha256(folder.at('f16-f16/model.safetensors'))).toBe(sha256(folder.at('f16/model.safetensors')));
    expect(await weightsIn(folder.at('f16-q8'))).toEqual(await weightsIn(folder.at('q8')));
    await succeed(['quantize', folder.at('q8'), '--to', 'q8', '--out', folder.at('q8-q8')]);
    expect(sha256(folder.at('q8-q8/model.safetensors'))).toBe(sha256(folder.at('q8/model.safetensors')));
  });

  test('--overwrite replaces a model, and only then', async () => {
    const out = folder.at('overwritten');
    cpSync(folder.at('q4'), out, { recursive: true });
    const args = ['quantize', model, '--to', 'q8', '--out', out];
    expect(await refusal(args)).toBe(
      'lanewise quantize: …/overwritten: expected a new folder, got one with a model. Replace it with --overwrite, or choose another --out.',
    );
    expect(sha256(`${out}/model.safetensors`)).toBe(sha256(folder.at('q4/model.safetensors')));
    await succeed([...args, '--overwrite']);
    for (const file of ['config.json', 'model.safetensors', 'tokenizer.json'])
      expect(sha256(`${out}/${file}`), file).toBe(sha256(folder.at(`q8/${file}`)));
  });

  test.each([
    [['…/model'], "required option '--to <dtype>' not specified"],
    [['…/model', '--to', 'q8'], "required option '--out <dir>' not specified"],
    [['--to', 'q8', '--out', '…/x'], "missing required argument 'dir'"],
    [['…/model', '--to', 'q5', '--out', '…/x'], "argument 'q5' is invalid. Allowed choices are f16, bf16, q8, q4."],
    [['…/model', '--to', 'f32', '--out', '…/x'], "argument 'f32' is invalid. Allowed choices are f16, bf16, q8, q4."],
    [['…/model', '--to', 'q8', '--out', '…/x', '--threads', '0'], 'Expected a whole number from 1 to 256.'],
    [['…/missing', '--to', 'q8', '--out', '…/x'], '…/missing/config.json: expected a file, got none.'],
    [['…/text.txt', '--to', 'q8', '--out', '…/x'], '…/text.txt/config.json: expected a file, got none.'],
    [
      ['…/model', '--to', 'q8', '--out', '…/model'],
      '--out: expected another folder than …/model, got the same. Choose another --out.',
    ],
    [['…/model', '--to', 'q8', '--out', '…/nothing/../model/', '--overwrite'], 'got the same. Choose another --out.'],
    [
      ['…/model', '--to', 'q8', '--out', '…/text.txt'],
      '…/text.txt: expected a folder that can be written, got a file in its place. Choose another one.',
    ],
    [['…/model', '--to', 'q8', '--out', '/proc/lanewise'], '/proc/lanewise: expected a folder that can be written'],
    [
      ['…/q8', '--to', 'q4', '--out', '…/x'],
      'load: expected dtype q8, got a folder in q8 and dtype q4. Load the model that it was quantized from.',
    ],
  ])('refuses %j', async (flags, message) => {
    expect(await refusal(['quantize', ...flags])).toContain(message);
    expect(existsSync(folder.at('x'))).toBe(false);
  });

  test('refuses damaged models, and leaves nothing behind', async () => {
    for (const name of ['cut', 'cut-q8'])
      cpSync(name === 'cut' ? model : folder.at('q8'), folder.at(name), { recursive: true });
    for (const name of ['cut', 'cut-q8']) {
      truncateSync(folder.at(`${name}/model.safetensors`), 3000);
      expect(await refusal(['quantize', `…/${name}`, '--to', 'q8', '--out', '…/from-cut'])).toContain(
        `…/${name}/model.safetensors: expected`,
      );
      expect(await refusal(['generate', `…/${name}`, '--prompt', 'the'])).toContain(
        `…/${name}/model.safetensors: expected`,
      );
      expect(existsSync(folder.at('from-cut'))).toBe(false);
    }
  });

  test.each(['generate', 'score'])('%s refuses a --dtype that is unknown or not that of the folder', async (verb) => {
    const more = verb === 'generate' ? ['--prompt', 'the'] : ['--text', text];
    expect(await refusal([verb, '…/model', ...more, '--dtype', 'int8'])).toContain(
      "argument 'int8' is invalid. Allowed choices are f32, f16, bf16, q8, q4.",
    );
    expect(await refusal([verb, '…/q8', ...more, '--dtype', 'f32'])).toContain(
      'load: expected dtype q8, got a folder in q8 and dtype f32. Load the model that it was quantized from.',
    );
  });

  test('train does not go on from quantized weights', async () => {
    cpSync(folder.at('q8'), folder.at('trained'), { recursive: true });
    const args = ['train', '--data', text, '--out', folder.at('trained'), ...TINY];
    expect(await refusal(args)).toContain('…/trained: expected a new folder, got one with a model.');
  });
});

describe('a folder that must not be lost', () => {
  test('refuses the same folder behind a link, also with --overwrite', async () => {
    cpSync(model, folder.at('linked'), { recursive: true });
    symlinkSync(folder.at('linked'), folder.at('link'));
    const args = ['quantize', '…/link', '--to', 'q4', '--out', '…/linked', '--overwrite'];
    expect(await refusal(args)).toContain('got the same. Choose another --out.');
  });

  test('--overwrite leaves no tokenizer of the model that was there', async () => {
    cpSync(model, folder.at('ids-only'), { recursive: true });
    rmSync(folder.at('ids-only/tokenizer.json'));
    cpSync(folder.at('q4'), folder.at('replaced'), { recursive: true });
    await succeed(['quantize', folder.at('ids-only'), '--to', 'q8', '--out', folder.at('replaced'), '--overwrite']);
    expect(existsSync(folder.at('replaced/tokenizer.json'))).toBe(false);
  });

  test('refuses a folder with a config.json alone', async () => {
    mkdirSync(folder.at('config-only'));
    writeFileSync(folder.at('config-only/config.json'), '{"model_type": "gpt2"}');
    expect(await refusal(['quantize', '…/model', '--to', 'q4', '--out', '…/config-only'])).toContain(
      'got one with a model',
    );
  });
});
