/**
 * README.md and the pages of docs/ do what they say: their snippets run in order, those of each document in a folder of their
 * own that has `book.txt` and the model of README.md, against the built package, and print what stands below them.
 *
 *   ```ts             a program, run by Node as it stands (no types in it)
 *   ```sh             commands for bash, `lanewise` being the built command line; those of EXEMPT are for readers only
 *   ```text           what the block before it writes to stdout; `…` stands for what differs from run to run
 *   ```ts src=path    an excerpt: its lines stand in that file, in this order; a line `…` leaves some out
 *   ```               a drawing
 *
 * UPDATE_DOCS=1 writes what the blocks print now, except where there is a `…`: those are changed by hand.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { type Block, documents, root } from './documents.ts';
import { closeWorkplaces, openWithModel, trainedModel, type Workplace } from './workplace.ts';

/** Commands that install, build, test or measure: what they do is tested where they are. */
const EXEMPT = /^(npm (install lanewise|ci|start|test|run)\b|npx (vitest|asc) |node bench\/)/;

const isExempt = ({ language, code }: Block) =>
  language === 'sh' && code.split('\n').every((line) => line === '' || EXEMPT.test(line));

/** A pattern that the output must match: as it stands, `…` being anything. */
function patternOf(text: string): RegExp {
  const parts = text.trimEnd().split('…');
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*?')}$`);
}

/** Lines without what they are indented by, and without empty ones. */
const linesOf = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** Checks that the lines of an excerpt follow each other in its file, apart from what it leaves out. */
function expectExcerpt({ code, source }: Block): void {
  let rest = `\n${linesOf(readFileSync(`${root}${source}`, 'utf8')).join('\n')}\n`;
  for (const piece of `\n${linesOf(code).join('\n')}\n`.split(/\n…(?=\n)/)) {
    if (piece.trim() === '') continue;
    const at = rest.indexOf(`${piece.trimEnd()}\n`);
    expect(at, `not in ${source}, or not in this order:${piece}`).toBeGreaterThanOrEqual(0);
    rest = rest.slice(at + piece.trimEnd().length);
  }
}

afterAll(closeWorkplaces);

describe.sequential.each(documents)('$path', ({ path, text, blocks }) => {
  let updated = text;
  let place: Promise<Workplace> | undefined;
  const open = () => {
    place ??= path === 'README.md' ? trainedModel().then((trained) => trained.place) : openWithModel();
    return place;
  };

  afterAll(async () => {
    if (updated !== text) await writeFile(`${root}${path}`, updated);
  });

  test('every block is a program, commands, an output, an excerpt or a drawing', () => {
    for (const [index, { language, source, line }] of blocks.entries()) {
      if (source === undefined) expect(['ts', 'sh', 'text', ''], `line ${line}`).toContain(language);
      if (language === 'text') expect(['ts', 'sh'], `line ${line}`).toContain(blocks[index - 1]?.language);
    }
  });

  test('lines wrap at 120 characters', () => {
    const long = text
      .split('\n')
      .map((line, index) => `${index + 1}: ${line}`)
      .filter((line) => [...line.replace(/^\d+: /, '')].length > 120 && !/^\d+: (\||!?\[)/.test(line));
    expect(long).toEqual([]);
  });

  blocks.forEach((block, index) => {
    const { language, source, code, line, heading } = block;
    if (source !== undefined) test(`${heading}, line ${line}`, () => expectExcerpt(block));
    if (source !== undefined || !['ts', 'sh'].includes(language) || isExempt(block)) return;
    const next = blocks[index + 1];
    const windows = language === 'sh' && process.platform === 'win32';
    test.skipIf(windows)(`${heading}, line ${line}${windows ? ' (skipped: no bash on Windows)' : ''}`, async () => {
      const { run, program } = await open();
      const isFirst = path === 'README.md' && block === blocks.find((other) => other.language === 'ts');
      let output: string;
      if (isFirst) output = (await trainedModel()).output;
      else if (language === 'sh') output = await run('bash', ['-euc', code]);
      else output = await program(`line-${line}.mjs`, code);
      if (next?.language !== 'text') return;
      const [printed, shown] = [output.trimEnd(), next.code.trimEnd()];
      if (patternOf(shown).test(printed)) return;
      if (process.env.UPDATE_DOCS === '1' && !shown.includes('…'))
        updated = updated.replace(`\`\`\`text\n${next.code}\`\`\``, () => `\`\`\`text\n${printed}\n\`\`\``);
      else expect(printed).toBe(shown);
    });
  });
});

test('README.md stays short, and its programs stay within ten lines', () => {
  const { text, blocks } = documents[0]!;
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(250);
  const programs = blocks.filter(({ language }) => language === 'ts');
  expect(programs.length).toBe(4);
  for (const { code } of programs)
    expect(code.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(10);
});
