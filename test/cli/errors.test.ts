/** What a user can get wrong: one clear line on stderr, exit code 2, no stack. */
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lanewise, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const model = folder.at('model');

beforeAll(async () => {
  await succeed(['train', '--data', text, '--out', model, ...TINY, '--steps', '2', '--save-every', '0']);
  writeFileSync(folder.at('empty.txt'), '');
  writeFileSync(folder.at('latin1.txt'), Uint8Array.from([0x63, 0x61, 0x66, 0xe9, 0x0a]));
  writeFileSync(folder.at('short.txt'), 'the old whale');
  writeFileSync(folder.at('unknown.txt'), 'the whale 鯨');
  writeFileSync(folder.at('not.json'), '[[1, 2');
  writeFileSync(folder.at('flat.json'), '[1, 2]');
  writeFileSync(folder.at('rows.json'), '[[1, 2]]');
  writeFileSync(folder.at('large-ids.json'), '[[1, 99999]]');
  writeFileSync(folder.at('uneven.json'), '[[1, 2], [1, 2, 3]]');
  writeFileSync(folder.at('long.json'), JSON.stringify([Array.from({ length: 40 }, () => 1)]));
  writeFileSync(folder.at('bert.json'), '{"model_type": "bert"}');
  writeFileSync(folder.at('bad-heads.json'), '{"model_type": "gpt2", "n_embd": 10, "n_head": 3}');
  mkdirSync(folder.at('nothing'));
  for (const name of ['truncated', 'no-tokenizer', 'bad-tokenizer', 'bad-config', 'other-config'])
    cpSync(model, folder.at(name), { recursive: true });
  truncateSync(folder.at('truncated/model.safetensors'), 1000);
  cpSync(folder.at('nothing'), folder.at('no-tokenizer'), { recursive: true });
  writeFileSync(folder.at('bad-tokenizer/tokenizer.json'), '{"model": 1}');
  writeFileSync(folder.at('bad-config/config.json'), '{');
  const config = JSON.parse(readFileSync(folder.at('other-config/config.json'), 'utf8'));
  writeFileSync(folder.at('other-config/config.json'), JSON.stringify({ ...config, n_positions: 32 }));
});
afterAll(() => folder.remove());

async function refusal(args: readonly string[], input = ''): Promise<string> {
  const { code, signal, stdout, stderr } = await lanewise(args, { input });
  expect({ code, signal, stdout }).toEqual({ code: 2, signal: null, stdout: '' });
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stderr.split('\n')).toHaveLength(2); // one line and its end
  return stderr.trimEnd().replaceAll(folder.path, '…');
}

describe('train', () => {
  const train = (...flags: string[]) => ['train', '--out', folder.at('out'), '--data', text, ...TINY, ...flags];

  test.each([
    [['--stepz', '5'], "unknown option '--stepz' (Did you mean --steps?) (see lanewise train --help)"],
    [['--steps', 'many'], "option '--steps <n>' argument 'many' is invalid. Expected a whole number of 1 or more."],
    [['--steps', '1.5'], "argument '1.5' is invalid. Expected a whole number of 1 or more."],
    [['--steps', '0'], 'Expected a whole number of 1 or more.'],
    [['--steps', ''], 'Expected a whole number of 1 or more.'],
    [['--steps', '0x10'], 'Expected a whole number of 1 or more.'],
    [['--seed', '-1'], 'Expected a whole number of 0 or more.'],
    [['--seed', '9007199254740992'], 'Expected a whole number of 0 or more.'],
    [['--lr', 'NaN'], 'Expected a number of 0 or more.'],
    [['--lr', 'Infinity'], 'Expected a number of 0 or more.'],
    [['--beta2', '1'], 'Expected a number from 0 to 0.9999999.'],
    [['--batch', '0'], 'Expected a whole number from 1 to 65536.'],
    [['--threads', '0'], 'Expected a whole number from 1 to 256.'],
    [['--precision', 'double'], 'Allowed choices are exact, fast.'],
    [['--schedule', 'step'], 'Allowed choices are cosine, linear, constant.'],
    [['--model', 'gpt3'], 'Allowed choices are gpt2, gpt1.'],
    [['--steps'], "option '--steps <n>' argument missing"],
    [['extra'], 'too many arguments'],
    [['--resume', '--overwrite'], "option '--overwrite' cannot be used with option '--resume'"],
    [['--config', 'x.json'], "option '--config <file>' cannot be used with option '--layers <n>'"],
    [['--tokenizer', 'bpe:12'], 'Expected bpe:N with N from 257 to 2097152.'],
    [['--tokenizer', 'bpe:x'], 'Expected bpe:N with N from 257 to 2097152.'],
    [['--heads', '3'], 'train: expected --width to be a multiple of --heads = 3, got 16. Change --width.'],
    [['--dropout', '1'], 'train: expected --dropout to be a number from 0 to below 1, got 1.'],
    [['--layers', '5000'], 'train: expected --layers to be a whole number from 1 to 4096, got 5000.'],
    [
      ['--patience', '2', '--eval-every', '0'],
      'train: expected --eval-every to be above 0 where there is --patience, got 0.',
    ],
    [['--warmup', '-3'], 'Expected a whole number of 0 or more.'],
    [['--data', '…/missing.txt'], '…/missing.txt: expected a file, got none. Check the path.'],
    [['--data', '…'], '…: expected a file, got a folder. Check the path.'],
    [['--data', '…/empty.txt'], 'empty.txt: expected text, got an empty file.'],
    [['--data', '…/latin1.txt'], '…/latin1.txt: expected UTF-8 text, got other bytes.'],
    [['--tokenizer', '…/nothing'], '…/nothing: expected tokenizer.json, or vocab.json and merges.txt, got neither.'],
    [['--tokenizer', '…/bad-tokenizer'], 'tokenizer.json: model: expected'],
    [['--context', '100000'], 'expected more than 100000 training tokens, as the context is 100000'],
    [
      ['--out', '…/text.txt'],
      '…/text.txt: expected a folder that can be written, got a file in its place. Choose another one.',
    ],
    [['--out', '/proc/lanewise'], '/proc/lanewise: expected a folder that can be written'],
    [['--log', '…/nothing/there/log'], '…/nothing/there/log: expected a file that can be written'],
  ])('%j', async (flags, message) => {
    const given = train(...flags.map((flag) => flag.replace('…', folder.path)));
    // Of a flag that is given twice the last one counts; of --data both.
    const data = flags[0] === '--data' ? given.filter((_, index) => index !== 3 && index !== 4) : given;
    expect(await refusal(data)).toContain(message);
  });

  test.each([
    [['--size', '125M'], 'train: expected --size to be one of tiny, 10M, 124M, 355M, 774M, 1.5B for gpt2, got "125M".'],
    [['--size', '124M', '--model', 'gpt1'], 'expected --size to be one of 117M for gpt1, got "124M".'],
    [['--size', '124M', '--width', '8'], "option '--size <name>' cannot be used with option '--width <n>'"],
    [['--config', '…/missing.json'], '…/missing.json: expected a file, got none.'],
    [['--config', '…/not.json'], '…/not.json: expected'],
    [['--config', '…/bert.json'], '…/bert.json: expected model_type to be one of gpt2, openai-gpt, got "bert".'],
    [['--config', '…/bad-heads.json'], '…/bad-heads.json: expected n_embd to be a multiple of n_head = 3, got 10.'],
    [
      ['--data', '…/short.txt', '--tokenizer', 'char'],
      'expected more than 128 training tokens, as the context is 128, got 11.',
    ],
  ])('%j', async (flags, message) => {
    const data = flags[0] === '--data' ? [] : ['--data', text];
    const given = flags.map((flag) => flag.replace('…', folder.path));
    expect(await refusal(['train', '--out', folder.at('out'), ...data, ...given])).toContain(message);
  });

  test('without --data or --out', async () => {
    expect(await refusal(['train', '--out', 'x'])).toContain("required option '--data <file...>' not specified");
    expect(await refusal(['train', '--data', text])).toContain("required option '--out <dir>' not specified");
  });
});

describe('generate', () => {
  test.each([
    [['…/missing', '--prompt', 'x'], '…/missing/config.json: expected a file, got none.'],
    [['…/nothing', '--prompt', 'x'], '…/nothing/config.json: expected a file, got none.'],
    [['…/model'], "required option '--prompt <text>' not specified"],
    [['--prompt', 'x'], "missing required argument 'dir'"],
    [['…/model', '--prompt', ''], 'generate: expected a prompt of at least one token, got none.'],
    [['…/model', '--prompt', '鯨'], 'expected'],
    [['…/model', '--prompt', 'x', '--temperature', '-1'], 'Expected a number of 0 or more.'],
    [['…/model', '--prompt', 'x', '--top-p', '1.5'], 'Expected a number from 0 to 1.'],
    [['…/model', '--prompt', 'the', '--top-p', '0'], 'expected topP above 0 and at most 1, got 0.'],
    [['…/model', '--prompt', 'x', '--top-k', '0'], 'Expected a whole number of 1 or more.'],
    [['…/model', '--prompt', 'x', '--max-new-tokens', 'all'], 'Expected a whole number of 1 or more.'],
    [['…/truncated', '--prompt', 'x'], '…/truncated/model.safetensors: expected'],
    [['…/bad-tokenizer', '--prompt', 'x'], 'tokenizer.json: model: expected'],
    [['…/bad-config', '--prompt', 'x'], '…/bad-config/config.json: expected'],
    [
      ['…/other-config', '--prompt', 'x'],
      'to have shape [32, 16], got [16, 16]. Check that config.json and weights belong together.',
    ],
  ])('%j', async (flags, message) => {
    expect(await refusal(['generate', ...flags.map((flag) => flag.replace('…', folder.path))])).toContain(message);
  });
});

describe('score', () => {
  test.each([
    [['…/model'], 'expected --text FILE or --ids FILE.json, got neither.'],
    [['…/model', '--text', 'a', '--ids', 'b'], "option '--text <file>' cannot be used with option '--ids <file>'"],
    [['…/model', '--text', '…/missing.txt'], '…/missing.txt: expected a file, got none.'],
    [['…/model', '--text', '…/empty.txt'], 'score: expected a row of at least 2 tokens'],
    [['…/model', '--text', '…/latin1.txt'], '…/latin1.txt: expected UTF-8 text, got other bytes.'],
    [['…/model', '--text', '…/unknown.txt'], 'expected'],
    [['…/model', '--ids', '…/not.json'], '…/not.json: expected JSON, got'],
    [['…/model', '--ids', '…/flat.json'], '…/flat.json: expected rows of token ids such as [[464, 3290], [50256, 11]]'],
    [['…/model', '--ids', '…/large-ids.json'], 'score: row 0: expected token ids from 0 to'],
    [
      ['…/model', '--ids', '…/uneven.json', '--logits-out', '…/l'],
      'logits: expected rows of equal length, got 2 tokens in row 0 and 3 in row 1.',
    ],
    [
      ['…/model', '--ids', '…/long.json', '--logits-out', '…/l'],
      'logits: expected rows of 1 to 16 tokens, got 40 in row 0.',
    ],
    [['…/missing', '--ids', '…/rows.json'], '…/missing/config.json: expected a file, got none.'],
    [
      ['…/model', '--ids', '…/rows.json', '--logits-out', '…/text.txt/l'],
      '…/text.txt: expected a folder that can be written',
    ],
    [
      ['…/model', '--ids', '…/rows.json', '--logits-out', '/proc/lanewise/l'],
      '/proc/lanewise: expected a folder that can be written',
    ],
  ])('%j', async (flags, message) => {
    expect(await refusal(['score', ...flags.map((flag) => flag.replace('…', folder.path))])).toContain(message);
  });
});

test.each([
  [['info', '…/nothing'], '', '…/nothing/config.json: expected a file, got none.'],
  [['info', '…/truncated'], '', '…/truncated/model.safetensors: expected'],
  [['info', '…/bad-tokenizer'], '', 'tokenizer.json: model: expected'],
  [['info'], '', "missing required argument 'dir'"],
  [['tokenize', '…/nothing'], 'text', '…/nothing: expected tokenizer.json, or vocab.json and merges.txt, got neither.'],
  [['tokenize', '…/model', '--decode'], 'text', 'stdin: expected JSON, got'],
  [['tokenize', '…/model', '--decode'], '[1.5]', 'stdin: expected a JSON array of token ids'],
  [['tokenize', '…/model', '--decode'], '[9999]', 'decode, position 0: expected an id of 0 …'],
  [['tokenize', '…/model', '--text', '…/missing.txt'], '', '…/missing.txt: expected a file, got none.'],
  [['tran'], '', "unknown command 'tran' (Did you mean train?) (see lanewise --help)"],
  [['--wrong'], '', "unknown option '--wrong' (see lanewise --help)"],
])('%j', async (args, input, message) => {
  expect(
    await refusal(
      args.map((argument) => argument.replace('…', folder.path)),
      input,
    ),
  ).toContain(message);
});

test('LANEWISE_DEBUG=1 shows the stack', async () => {
  const args = ['info', folder.at('nothing')];
  const { code, stderr } = await lanewise(args, { env: { LANEWISE_DEBUG: '1' } });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^CheckpointError: .*\n\s+at /);
});
