/** The tables of docs/ name the flags, fields, options and errors that there are, with their defaults. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, rowsOf, sectionOf, tableOf } from './documents.ts';
import { book, closeWorkplaces, openWorkplace, type Workplace } from './workplace.ts';

const CLI = 'docs/cli.md';
const VERBS = ['train', 'generate', 'score', 'info', 'tokenize', 'quantize', 'merge', 'bench'];

let place: Workplace;
beforeAll(async () => {
  place = await openWorkplace();
});
afterAll(closeWorkplaces);

const verbSection = (verb: string) => sectionOf(CLI, `## \`lanewise ${verb}\``);

describe.sequential('the command line', () => {
  test('has these verbs', async () => {
    const help = await place.lanewise('--help');
    const [, commands = ''] = help.split(/^Commands:$/m);
    const found = [...commands.split('\n\n')[0]!.matchAll(/^ {2}([a-z]+) /gm)]
      .map(([, verb]) => verb!)
      .filter((verb) => verb !== 'help');
    expect(found).toEqual(VERBS);
  });

  test.each(VERBS)('%s has these options', async (verb) => {
    const help = await place.lanewise(verb, '--help');
    const found = [...help.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag!);
    const documented = rowsOf(verbSection(verb), 'option');
    expect([...documented.keys()].sort()).toEqual(found.filter((flag) => flag !== '--help').sort());
    for (const option of help.split(/^ {2}(?=--)/m).slice(1)) {
      const [flag] = option.split(' ');
      const text = option.split('\n\n')[0]!.replaceAll(/\s+/g, ' ').replaceAll('’', "'");
      const [, value] = /default: "?([^")]+)"?\)/.exec(text) ?? [];
      if (value !== undefined) expect(`${flag} ${documented.get(flag!)}`).toBe(`${flag} ${value}`);
    }
  });

  /** Documented fields of --json against those of a run. */
  async function expectFields(verb: string, ...args: string[]): Promise<void> {
    const output = await place.lanewise(verb, ...args, '--json');
    const json = JSON.parse(output.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
    expect(Object.keys(json)).toEqual(tableOf(verbSection(verb), 'field'));
  }

  test('train --json and --log have these fields', async () => {
    const model = ['--tokenizer', 'char', '--layers', '1', '--heads', '1', '--width', '8', '--context', '8'];
    const run = ['--batch', '2', '--steps', '4', '--eval-every', '2', '--save-every', '2', '--log', 'steps.jsonl'];
    await writeFile(join(place.folder, 'short.txt'), (await book()).slice(0, 2000));
    await expectFields('train', '--data', 'short.txt', '--out', 'tiny', ...model, ...run);
    const lines = (await readFile(join(place.folder, 'steps.jsonl'), 'utf8')).trimEnd().split('\n');
    const fields = new Set(lines.flatMap((line) => Object.keys(JSON.parse(line))));
    const sentence = /^A line of `--log` has (.*?)\.$/ms.exec(verbSection('train'))![1]!;
    expect([...sentence.matchAll(/`(\w+)`/g)].map(([, field]) => field).sort()).toEqual([...fields].sort());
  });

  test('generate, score, info and quantize --json have these fields', async () => {
    await expectFields('generate', 'tiny', '--prompt', 'whale', '--max-new-tokens', '3');
    await writeFile(join(place.folder, 'ids.json'), '[[1, 2, 3, 4], [4, 3, 2, 1]]');
    await expectFields('score', 'tiny', '--ids', 'ids.json', '--logits-out', 'logits.safetensors');
    await expectFields('info', 'tiny');
    await expectFields('quantize', 'tiny', '--to', 'q4', '--out', 'tiny-q4');
  });
});

describe('the library', () => {
  test('has these errors', async () => {
    const errors = await import('../../src/errors.ts');
    expect(tableOf(sectionOf('docs/errors.md', '# Errors'), 'class').sort()).toEqual(Object.keys(errors).sort());
  });

  test('has these options of the trainer', async () => {
    const { completeTrainerOptions } = await import('../../src/training/options.ts');
    const defaults = completeTrainerOptions({}, 64);
    const documented = rowsOf(sectionOf('docs/api/training.md', '## Options of the trainer'), 'option');
    expect([...documented.keys()].sort()).toEqual([...Object.keys(defaults), 'directory', 'tokenizer'].sort());
    for (const [option, value] of Object.entries(defaults)) {
      const cell = documented.get(option)!;
      if (/^[\d.e-]+$|^cosine$/.test(cell)) expect(`${option} ${Number(cell) || cell}`).toBe(`${option} ${value}`);
    }
  });

  test('has these options of generation', async () => {
    const { checkGeneration } = await import('../../src/generation/options.ts');
    const known = [...Object.keys(checkGeneration({}, 64, undefined)), 'stop'];
    const documented = tableOf(sectionOf('docs/api/generation.md', '## Options of generation'), 'option');
    expect(documented.sort()).toEqual(known.sort());
  });

  test('has these options of GPT models, with these defaults', async () => {
    const { gpt2 } = await import('../../src/models/gpt2/family.ts');
    const documented = rowsOf(sectionOf('docs/api/models.md', '## Options of GPT-2 and GPT-1'), 'option');
    expect([...documented.keys()].sort()).toEqual(Object.keys(gpt2.rules).sort());
    for (const [option, value] of Object.entries(gpt2.complete({}))) {
      const cell = documented.get(option)!;
      if (/^[\d.e-]+$/.test(cell)) expect(`${option} ${Number(cell)}`).toBe(`${option} ${value}`);
    }
  });
});

describe('the source', () => {
  test('imports on demand at the places that docs/design/packaging.md lists', () => {
    const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
      .map((name) => `src/${name.replaceAll('\\', '/')}`)
      .filter((path) => path.endsWith('.ts') && / import\(/.test(codeOf(readFileSync(`${root}${path}`, 'utf8'))));
    const documented = tableOf(sectionOf('docs/design/packaging.md', '# Files of the package'), 'place');
    expect(documented.sort()).toEqual(files.sort());
  });
});

/** Source without comments. */
const codeOf = (text: string) => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
