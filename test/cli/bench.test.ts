/** `lanewise bench` as a process: its table, its JSON, profiles, comparisons, and what it refuses. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXPECTED_CHECKSUM } from '../../src/benchmark/index.ts';
import { lanewise, lastJson, type Outcome, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const model = folder.at('model');
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

beforeAll(async () => {
  const text = writeText(folder.at('text.txt'));
  await succeed(['train', '--data', text, '--out', model, ...TINY, '--steps', '2', '--save-every', '0']);
  mkdirSync(folder.at('nothing'));
  mkdirSync(folder.at('tmp'));
});
afterAll(() => folder.remove());

/** Temporary files go where the tests see them. */
const bench = (...args: string[]) => succeed(['bench', ...args], { env: { TMPDIR: folder.at('tmp') } });
const names = (works: unknown) => (works as { name: string }[]).map(({ name }) => name);

describe('measuring', () => {
  test('prints a row for each work, and what ran', async () => {
    const only = ['--only', 'pp512,tg128', '--threads', '2', '--precision', 'exact'];
    const { stdout, stderr } = await bench('--model', 'gpt2-tiny', ...only);
    const lines = stdout.trimEnd().split('\n');
    expect(stderr).toBe('');
    expect(lines[0]).toMatch(/^work +median +minimum +maximum +unit$/);
    expect(lines[1]).toMatch(/^pp512( +[\d,.]+){3} {2}tokens\/s$/);
    expect(lines[2]).toMatch(/^tg128( +[\d,.]+){3} {2}tokens\/s$/);
    expect(lines[4]).toMatch(
      new RegExp(
        `^gpt2-tiny, 182,016 parameters in f32; lanewise ${version}: simd128-threads on node .*, 2 threads; .* cores?$`,
      ),
    );
    expect(lines[5]).toBe(`checksum of exact answers ${EXPECTED_CHECKSUM}, as on every machine`);
    expect(lines).toHaveLength(6);
  });

  test('--json prints one object on stdout, with every sample', async () => {
    const { stdout, stderr } = await bench(model, '--only', 'pp512,load', '--runs', '6', '--json');
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/^work .*\npp16 .*\nload .*\n$/);
    const report = lastJson(stdout) as { works: { samples: number[] }[] };
    expect(report).toMatchObject({ lanewise: version, model, checksum: EXPECTED_CHECKSUM, isExpected: true, runs: 6 });
    expect(names(report.works)).toEqual(['pp16', 'load']);
    expect(report.works.map(({ samples }) => samples.length)).toEqual([6, 6]);
  });

  test('starts itself for a cold start, of a folder and of drawn weights, and leaves nothing behind', async () => {
    for (const subject of [[model], ['--model', 'gpt2-tiny']]) {
      const { works } = lastJson((await bench(...subject, '--only', 'start', '--json')).stdout) as { works: object[] };
      expect(works).toMatchObject([{ name: 'start', unit: 'ms', detail: expect.stringContaining('new process') }]);
    }
    expect(readdirSync(folder.at('tmp'))).toEqual([]);
  });

  test('says in a sentence why a new process wrote no token', async () => {
    const damaged = folder.at('damaged');
    mkdirSync(damaged);
    writeFileSync(`${damaged}/config.json`, readFileSync(`${model}/config.json`));
    writeFileSync(`${damaged}/model.safetensors`, readFileSync(`${model}/model.safetensors`).subarray(0, 100));
    const { code, stderr } = await lanewise(['bench', damaged, '--only', 'start']);
    expect(code).toBe(2);
    expect(stderr.split('\n').at(-2)).toMatch(
      /^lanewise bench: start: expected a first token of a new process, got \S+damaged\/model\.safetensors: expected .*, got .*\. .*\. Leave start out of --only\.$/,
    );
    expect(stderr).not.toMatch(/ at .*\.js/);
  });

  test.skipIf(process.platform === 'win32')('a signal ends it, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await lanewise(['bench', '--model', 'gpt2-tiny', '--runs', '40', '--json'], {
      env: { TMPDIR: folder.at('tmp') },
      onStderr: (text, child) => void (text.includes('pp512') && !text.includes('stop') && child.kill('SIGINT')),
    });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/lanewise bench: stopped\.\n$/);
    expect(readdirSync(folder.at('tmp'))).toEqual([]);
  });
});

describe('--profile', () => {
  test('prints tables by kind and by label', async () => {
    const { stdout } = await bench(model, '--profile', '--only', 'train');
    expect(stdout).toMatch(
      /^train: training step of 1 × 16 tokens.*\n[\d,.]+ ms in one run, [\d,.]+ ms operation by operation\n/,
    );
    expect(stdout).toMatch(/^kind +ops +ms +share +GFLOP\/s +GB\/s$/m);
    expect(stdout).toMatch(/^gemm +\d+( +[\d,.]+){2} % +[\d,.]+ +[\d,.]+$/m);
    expect(stdout).toMatch(/^label +ops/m);
    expect(stdout).toMatch(/^transformer\.h\.\*\.attn\.c_attn /m);
    expect(stdout.trimEnd().split('\n').at(-1)).toContain(`lanewise ${version}: `);
  });

  test('--json', async () => {
    const report = lastJson((await bench(model, '--profile', '--json')).stdout);
    expect(report).toMatchObject({ format: 'lanewise-profile-1', model, lanewise: version });
    expect(names(report.profiles)).toEqual(['pp16', 'tg8', 'train']);
  });
});

describe('--compare', () => {
  const report = (median: number, more: object = {}) => ({
    ...{
      format: 'lanewise-benchmark-1',
      lanewise: '0.1.0',
      cpu: 'abacus',
      cores: 2,
      runtime: 'node 20',
      binary: 'simd128',
    },
    ...{
      threads: 1,
      precision: 'exact',
      notes: [],
      model: 'gpt2-tiny',
      parameters: 1,
      dtype: 'q8',
      checksum: '00000000',
      runs: 5,
    },
    works: [
      { name: 'pp512', detail: '', unit: 'tokens/s', median, minimum: median / 2, maximum: median * 2, samples: [] },
      { name: 'load', detail: '', unit: 'ms', median, minimum: median, maximum: median, samples: [] },
      { name: 'train', skipped: 'no room' },
    ],
    ...more,
  });
  const write = (name: string, content: object) => writeFileSync(folder.at(name), JSON.stringify(content));

  beforeAll(() => {
    write('a.json', report(1000));
    write('b.json', report(1500));
    write('other.json', report(1500, { checksum: '11111111' }));
    write('none.json', report(1, { works: [] }));
    write('odd.json', { ...report(1), works: [{ name: 'pp512', median: 'fast' }] });
    writeFileSync(folder.at('not.json'), '{');
  });

  test('prints ratios of medians, and how far the samples carry them', async () => {
    const { stdout } = await bench('--compare', folder.at('a.json'), folder.at('b.json'));
    expect(stdout.replaceAll(folder.path, '…')).toBe(
      [
        'a  …/a.json: gpt2-tiny, 1 parameters in q8; lanewise 0.1.0: simd128 on node 20, 1 thread; abacus, 2 cores',
        'b  …/b.json: gpt2-tiny, 1 parameters in q8; lanewise 0.1.0: simd128 on node 20, 1 thread; abacus, 2 cores',
        '',
        'work                    a          b  unit          b is  as fast as a; from … to',
        'pp512               1,000      1,500  tokens/s    1.50 ×  0.38 … 6.00',
        'load                1,000      1,500  ms          0.67 ×  0.67 … 0.67',
        '',
      ].join('\n'),
    );
  });

  test('says when answers differ', async () => {
    const { stdout } = await bench('--compare', folder.at('a.json'), folder.at('other.json'));
    expect(stdout).toContain('\nExact answers differ: checksum 00000000 and 11111111\n');
  });

  test('--json, of a report that bench itself wrote', async () => {
    writeFileSync(folder.at('real.json'), (await bench(model, '--only', 'tg128', '--json')).stdout);
    const { stdout } = await bench('--compare', folder.at('real.json'), folder.at('real.json'), '--json');
    expect(lastJson(stdout)).toMatchObject({ works: [{ name: 'tg8', unit: 'tokens/s', ratio: 1 }] });
  });

  test.each([
    [['--compare', '…/a.json'], 'lanewise bench: expected --compare with two files, got 1.'],
    [['--compare', '…/a.json', '…/b.json', '…/a.json'], 'expected --compare with two files, got 3.'],
    [['--compare', '…/a.json', '…/missing.json'], '…/missing.json: expected a file, got none. Check the path.'],
    [['--compare', '…/a.json', '…/nothing'], '…/nothing: expected a file, got a folder. Check the path.'],
    [['--compare', '…/not.json', '…/a.json'], '…/not.json: expected JSON, got'],
    [
      ['--compare', '…/model/config.json', '…/a.json'],
      '…/model/config.json: expected a report of "lanewise bench --json"',
    ],
    [['--compare', '…/a.json', '…/odd.json'], '…/odd.json: expected a report of "lanewise bench --json"'],
    [['--compare', '…/a.json', '…/none.json'], 'expected reports with a work in common, got none.'],
    [['--compare', '…/a.json', '…/b.json', '--runs', '6'], "cannot be used with option '--runs <n>'"],
    [['…/model', '--compare', '…/a.json', '…/b.json'], 'expected a folder or --compare, got both'],
    [['…/model', '--model', 'gpt2-tiny'], 'expected a folder or --model, got both, the folder being …/model.'],
    [['…/missing'], '…/missing/config.json: expected a file, got none.'],
    [['…/nothing'], '…/nothing/config.json: expected a file, got none.'],
    [['--model', 'gpt3'], "option '--model <name>' argument 'gpt3' is invalid. Allowed choices are gpt2-tiny, "],
    [
      ['--only', 'pp512,speed'],
      'Expected some of pp512,tg128,batch8,train,gemm,memory,load,start, with commas between.',
    ],
    [['--only', ''], 'Expected some of pp512,'],
    [['--runs', '4'], 'Expected a whole number from 5 to 1000.'],
    [['--threads', '0'], 'Expected a whole number from 1 to 256.'],
    [['--precision', 'double'], 'Allowed choices are exact, fast.'],
    [['--model', 'gpt2-tiny', '--profile', '--only', 'gemm'], 'profile: expected works that are one plan'],
    [['--stepz'], "unknown option '--stepz'"],
  ])('refuses %j', async (args, message) => {
    const given = args.map((argument) => argument.replace('…', folder.path));
    const { code, stdout, stderr }: Outcome = await lanewise(['bench', ...given]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.split('\n')).toHaveLength(2); // one line and its end
    expect(stderr.replaceAll(folder.path, '…')).toContain(message);
  });
});
