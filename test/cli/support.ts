/** Runs the built command line in processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing; run "npm run build" first`);

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What stdin holds. */
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
  /** Called with the process once it runs. */
  readonly onStart?: (child: ChildProcess) => void;
  /** Called with everything on stderr so far, whenever there is more. */
  readonly onStderr?: (text: string, child: ChildProcess) => void;
}

/** Runs `lanewise` and waits for its end. */
export function lanewise(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { input = '', env = {}, onStart, onStderr } = options;
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, LANEWISE_DEBUG: '', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(stderr, child);
  });
  child.stdin.on('error', () => {}); // it may end before it has read everything
  child.stdin.end(input);
  onStart?.(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Runs `lanewise`, which must end well. */
export async function succeed(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const outcome = await lanewise(args, options);
  if (outcome.code !== 0) throw new Error(`lanewise ${args.join(' ')} ended with ${outcome.code}: ${outcome.stderr}`);
  return outcome;
}

/** The object on the last line of stdout. */
export function lastJson(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
}

/** A temporary folder; `remove` deletes it. */
export function temporaryFolder(): { path: string; at(name: string): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'lanewise-cli-'));
  return { path, at: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Text with something to learn: sentences of few words in a fixed pseudo-random order. */
export function writeText(path: string, sentences = 300): string {
  const words = ['the', 'whale', 'ship', 'saw', 'sea', 'old', 'captain', 'and', 'a', 'white'];
  let state = 1;
  const next = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  const sentence = () => Array.from({ length: 4 + next(4) }, () => words[next(words.length)]).join(' ');
  writeFileSync(path, Array.from({ length: sentences }, () => `${sentence()}.\n`).join(''));
  return path;
}

/** Flags of a model that trains in an instant. */
export const TINY = [
  ...['--tokenizer', 'char', '--layers', '1', '--heads', '2', '--width', '16', '--context', '16'],
  ...['--batch', '4', '--steps', '12', '--lr', '0.01', '--precision', 'exact', '--seed', '3'],
];
