/** Fine-tuning: `train --from`, all weights or adapters, `--adapter`, `merge`, and what of it is refused. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lanewise, lastJson, sha256, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const base = folder.at('base');
const RUN = ['--batch', '4', '--steps', '12', '--lr', '0.01', '--precision', 'exact', '--seed', '3', '--data', text];
const tune = (out: string, ...flags: string[]) =>
  succeed(['train', '--from', base, '--out', folder.at(out), ...RUN, ...flags]);
const adapters = (out: string) => sha256(folder.at(`${out}/adapter_model.safetensors`));
const weights = (out: string) => sha256(folder.at(`${out}/model.safetensors`));
const score = async (dir: string, ...flags: string[]) =>
  lastJson((await succeed(['score', dir, '--text', text, '--precision', 'exact', '--json', ...flags])).stdout);

beforeAll(async () => {
  await succeed(['train', '--data', text, '--out', base, ...TINY, '--dropout', '0.1']);
  await tune('adapter', '--lora', 'rank:4,alpha:8', '--threads', '1');
  await succeed(['quantize', base, '--to', 'q8', '--out', folder.at('base-q8')]);
});
afterAll(() => folder.remove());

describe('train --from --lora', () => {
  test('writes adapters in the layout of PEFT, a tokenizer, checkpoints and nothing else', () => {
    expect(readdirSync(folder.at('adapter')).sort()).toEqual([
      ...['adapter_config.json', 'adapter_model.safetensors', 'checkpoints', 'tokenizer.json'],
    ]);
    const config = JSON.parse(readFileSync(folder.at('adapter/adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({
      peft_type: 'LORA',
      r: 4,
      lora_alpha: 8,
      target_modules: ['c_attn'],
      fan_in_fan_out: true,
    });
    expect(config.base_model_name_or_path).toBe(base);
    expect(readdirSync(folder.at('adapter/checkpoints/step-00000012')).sort()).toContain('adapter_model.safetensors');
  });

  test('--json has the number of trained values; 1 and 2 threads give the same bits', async () => {
    const { stdout, stderr } = await tune('again', '--lora', 'rank:4,alpha:8', '--threads', '2', '--json');
    expect(lastJson(stdout)).toMatchObject({
      step: 12,
      parameters: 4 * (16 + 48),
      precision: 'exact',
      out: folder.at('again'),
    });
    expect(stderr).toMatch(/parameters in f32, adapters with 256\n/);
    expect(adapters('again')).toBe(adapters('adapter'));
  });

  test('learns, and the adapters make the model better than it was', async () => {
    const flags = ['--lora-targets', 'c_attn,c_proj,c_fc', '--steps', '200', '--schedule', 'constant'];
    await tune('longer', '--lora', 'rank:4', ...flags);
    const [before, after] = [await score(base), await score(base, '--adapter', folder.at('longer'))];
    expect(after.loss).toBeLessThan((before.loss as number) - 0.05);
  });

  test.each(['f32', 'f16', 'bf16', 'q8', 'q4'])('--dtype %s', async (dtype) => {
    const { stderr } = await tune(`on-${dtype}`, '--lora', 'rank:2', '--dtype', dtype);
    expect(stderr).toContain(`parameters in ${dtype}, adapters with`);
    await succeed(['generate', base, '--adapter', folder.at(`on-${dtype}`), '--dtype', dtype, '--prompt', 'the']);
  });

  test('a quantized folder is a base as it is', async () => {
    const { stderr } = await succeed([
      'train',
      '--from',
      folder.at('base-q8'),
      '--out',
      folder.at('on-folder'),
      ...RUN,
      '--lora',
      'rank:2',
    ]);
    expect(stderr).toContain('parameters in q8');
    expect(adapters('on-folder')).toBe(adapters('on-q8'));
  });

  test('interrupted and resumed: the bits of a run that was not; on another base it is refused', async () => {
    const flags = ['--lora', 'rank:4,alpha:8,dropout:0.2', '--save-every', '4', '--schedule', 'constant'];
    await tune('whole', ...flags);
    await tune('parts', ...flags);
    rmSync(folder.at('parts/checkpoints/step-00000012'), { recursive: true });
    await tune('parts', ...flags, '--resume', '--threads', '2');
    expect(adapters('parts')).toBe(adapters('whole'));
    rmSync(folder.at('parts/checkpoints/step-00000012'), { recursive: true });
    await succeed(['train', '--from', base, '--out', folder.at('moved'), ...RUN]);
    const { code, stderr } = await lanewise([
      ...['train', '--from', folder.at('moved'), '--out', folder.at('parts'), ...RUN, ...flags, '--resume'],
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /expected model\.base "f32, crc32 [0-9a-f]{8}", got a checkpoint with "f32, crc32 [0-9a-f]{8}"/,
    );
  });
});

describe('train --from', () => {
  test('trains all weights on, with the tokenizer of the folder', async () => {
    const before = await score(base);
    await tune('on', '--steps', '40', '--schedule', 'constant');
    expect((await score(folder.at('on'))).loss).toBeLessThan(before.loss as number);
    expect(sha256(folder.at('on/tokenizer.json'))).toBe(sha256(folder.at('base/tokenizer.json')));
    expect(sha256(folder.at('on/config.json'))).toBe(sha256(folder.at('base/config.json')));
  });

  test('--context shortens the sequences, not the model; --dropout replaces that of the folder', async () => {
    await tune('short', '--context', '8', '--dropout', '0.25');
    const config = JSON.parse(readFileSync(folder.at('short/config.json'), 'utf8'));
    expect(config).toMatchObject({ n_positions: 16, resid_pdrop: 0.25, attn_pdrop: 0.25, embd_pdrop: 0.25 });
    const { settings } = JSON.parse(readFileSync(folder.at('short/checkpoints/step-00000012/trainer.json'), 'utf8'));
    expect(settings).toMatchObject({ length: 8, 'model.blockSize': 16 });
  });

  test('resumes bit for bit', async () => {
    await tune('full', '--save-every', '4');
    rmSync(folder.at('full/checkpoints/step-00000012'), { recursive: true });
    const expected = weights('full');
    await tune('full', '--save-every', '4', '--resume', '--threads', '2');
    expect(weights('full')).toBe(expected);
  });
});

describe('merge', () => {
  test.each(['f32', 'f16', 'bf16'])('into %s: scores as model and adapters do', async (dtype) => {
    const out = folder.at(`merged-${dtype}`);
    const flags = ['merge', base, '--adapter', folder.at('longer'), '--out', out, '--dtype', dtype];
    const { stdout } = await succeed([...flags, '--json']);
    expect(lastJson(stdout)).toMatchObject({ out, dtype, adapted: expect.any(Number), parameters: expect.any(Number) });
    const [adapted, merged] = [await score(base, '--adapter', folder.at('longer')), await score(out)];
    expect(Math.abs((merged.loss as number) - (adapted.loss as number))).toBeLessThan(dtype === 'f32' ? 1e-5 : 0.02);
    expect(sha256(`${out}/tokenizer.json`)).toBe(sha256(folder.at('base/tokenizer.json')));
    const again = await lanewise(flags);
    expect([again.code, again.stderr]).toEqual([
      2,
      expect.stringContaining('expected a new folder, got one with a model.'),
    ]);
    expect((await succeed([...flags, '--overwrite'])).stdout).toContain(`saved in ${out}\n`);
  });
});

test('info: what a folder of adapters holds', async () => {
  const { stdout } = await succeed(['info', folder.at('adapter')]);
  expect(stdout.split('\n')).toEqual([
    'Adapters: LoRA of rank 4, alpha 8, dropout 0, on c_attn',
    `Base model: ${base}`,
    'Layers: 1 with 256 parameters',
    'Weights: F32, 1.0 KiB',
    expect.stringMatching(/^Tokenizer: characters, \d+ tokens$/),
    'Checkpoints: steps 12, 10',
    '',
  ]);
  const json = lastJson((await succeed(['info', folder.at('adapter'), '--json'])).stdout);
  expect(json).toMatchObject({
    ...{ dir: folder.at('adapter'), parameters: 256, weightBytes: 1024, dtypes: ['F32'], checkpoints: [12, 10] },
    adapter: { rank: 4, alpha: 8, dropout: 0, targetModules: ['c_attn'], useRslora: false, baseModel: base },
  });
});

describe('what is refused', () => {
  const refusal = async (...args: string[]) => {
    const { code, signal, stdout, stderr } = await lanewise(args);
    expect({ code, signal, stdout }).toEqual({ code: 2, signal: null, stdout: '' });
    expect(stderr.split('\n')).toHaveLength(2); // one line and its end
    return stderr.trimEnd().replaceAll(folder.path, '…');
  };

  test.each<[string[], string]>([
    [
      ['--lora', 'rank:0'],
      'train: expected --lora rank to be a whole number from 1 to 4096, got 0. Change --lora rank.',
    ],
    [['--lora', 'rank:2.5'], 'train: expected --lora rank to be a whole number from 1 to 4096, got 2.5.'],
    [['--lora', 'rank:8,alpha:0'], 'train: expected --lora alpha to be a number above 0 and at most 1000000, got 0.'],
    [['--lora', 'rank:8,dropout:1'], 'train: expected --lora dropout to be a number from 0 to below 1, got 1.'],
    [['--lora', '8'], "argument '8' is invalid. Expected rank:N, alpha:X or dropout:P with commas between"],
    [['--lora', 'rank:8,rank:9'], 'Expected rank:N, alpha:X or dropout:P with commas between'],
    [['--lora', 'rank:-1'], 'Expected rank:N, alpha:X or dropout:P with commas between'],
    [['--lora', 'r:8'], 'Expected rank:N, alpha:X or dropout:P with commas between'],
    [
      ['--lora', 'rank:8', '--lora-targets', 'c_attn,q_proj'],
      'train: expected --lora-targets to be among c_attn, c_proj, c_fc, got "q_proj". Only these layers take an adapter.',
    ],
    [['--lora', 'rank:8', '--lora-targets', ''], 'train: expected --lora-targets to be'],
    [['--lora-targets', 'c_attn'], 'train: expected --lora with --lora-targets, got none.'],
    [['--dtype', 'q8'], 'train: expected --lora with --dtype, got none. Weights that are trained themselves are f32.'],
    [['--lora', 'rank:8', '--dtype', 'q5'], 'Allowed choices are f32, f16, bf16, q8, q4.'],
    [['--layers', '2'], "option '--from <dir>' cannot be used with option '--layers <n>'"],
    [['--tokenizer', 'char'], "option '--from <dir>' cannot be used with option '--tokenizer <kind>'"],
    [
      ['--context', '32'],
      "train: expected --context to be at most the model's blockSize 16, got 32. Change --context.",
    ],
    [['--dropout', '1'], 'train: expected --dropout to be a number from 0 to below 1, got 1.'],
    [['--from', '…/nothing'], '…/nothing/config.json: expected a file'],
    [['--from', '…/adapter'], '…/adapter/config.json: expected a file'],
    [
      ['--from', '…/base-q8'],
      '…/base-q8: expected weights in F32, F16 or BF16 to train, got q8. Train adapters with --lora',
    ],
    [
      ['--from', '…/base-q8', '--lora', 'rank:2', '--dtype', 'f16'],
      'train: expected --dtype to be q8, as …/base-q8 is stored, got f16.',
    ],
    [['--out', '…/base'], '--out: expected another folder than …/base, got the same.'],
    [
      ['--out', '…/adapter', '--lora', 'rank:4'],
      '…/adapter: expected a new folder, got one with checkpoints up to step 12.',
    ],
    [
      ['--out', '…/adapter', '--resume'],
      'expected a checkpoint of a whole model, got a checkpoint of adapters. Resume with --lora',
    ],
    [
      ['--out', '…/adapter', '--resume', '--lora', 'rank:5'],
      'step-00000012: expected model.rank 5, got a checkpoint with 4. Resume with the options the run began with',
    ],
  ])('train --from %j', async (flags, message) => {
    const given = flags.map((flag) => flag.replace('…', folder.path));
    const from = flags.includes('--from') ? [] : ['--from', base];
    const out = flags.includes('--out') ? [] : ['--out', folder.at('out')];
    expect(await refusal('train', ...from, ...out, ...RUN, ...given)).toContain(message);
  });

  test.each([
    ['--lora', 'rank:8'],
    ['--lora-targets', 'c_fc'],
    ['--dtype', 'q8'],
  ])('train %s without --from', async (...flags) => {
    const message = `train: expected --from with ${flags[0]}, got none. Name the model to train.`;
    expect(await refusal('train', '--data', text, '--out', folder.at('out'), ...flags)).toContain(message);
  });

  test('a folder that is no adapter, or one of another model', async () => {
    const run = (adapter: string, dir = base) => refusal('score', dir, '--text', text, '--adapter', folder.at(adapter));
    expect(await run('base')).toContain('…/base/adapter_config.json: expected a file, got none.');
    await succeed(['train', '--data', text, '--out', folder.at('wide'), ...TINY, '--width', '32', '--steps', '2']);
    expect(await run('adapter', folder.at('wide'))).toContain('to have shape [4, 32], got [4, 16].');
    cpSync(folder.at('adapter'), folder.at('dora'), { recursive: true });
    const config = JSON.parse(readFileSync(folder.at('dora/adapter_config.json'), 'utf8'));
    writeFileSync(folder.at('dora/adapter_config.json'), JSON.stringify({ ...config, use_dora: true }));
    expect(await run('dora')).toBe(
      'lanewise score: …/dora/adapter_config.json: expected use_dora to be absent or null, got true. It is not supported.',
    );
  });

  test('merge', async () => {
    const merge = (...flags: string[]) => refusal('merge', ...flags);
    const adapter = ['--adapter', folder.at('adapter')];
    expect(await merge(folder.at('base-q8'), ...adapter, '--out', folder.at('m'))).toContain(
      '…/base-q8: expected weights in F32, F16 or BF16 to merge into, got q8. Merge into the model that it was quantized from',
    );
    expect(await merge(base, ...adapter, '--out', base)).toContain(
      '--out: expected another folder than …/base, got the same.',
    );
    expect(await merge(base, '--out', folder.at('m'))).toContain("required option '--adapter <dir>' not specified");
    expect(await merge(base, ...adapter, '--out', folder.at('m'), '--dtype', 'q8')).toContain(
      'Allowed choices are f32, f16, bf16.',
    );
  });
});
