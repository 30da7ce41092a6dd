/**
 * A process that used an engine ends by itself: with or without dispose, after a failed run, with any number of threads.
 * Each case is a process of its own (child.ts); one that hangs is killed after 90 seconds, and fails.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUNNER = fileURLToPath(new URL('../files/run-typescript.mjs', import.meta.url));
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
const TIMEOUT = 90_000;

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

function runChild(what: string, threads: number, flags: readonly string[] = []): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, RUNNER, CHILD, what, String(threads)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, out, err });
    });
  });
}

/** What argv names → what it prints. */
const ENDS: Record<string, string> = {
  nothing: 'end\n',
  dispose: 'end\n',
  run: '1000\nend\n',
  'run and dispose': '1000\nend\n',
  // A run takes effect when it is called: disposing behind it neither undoes it nor makes it wait for threads that are gone.
  'dispose at once': 'no error\nend\n',
  exit: 'end\n',
  // The trap of WebAssembly comes out as an error, and the process goes on and ends.
  trap: 'EngineError\nend\n',
  'trap and dispose': 'EngineError\nend\n',
  'trap and run again': 'EngineError\nDisposedError\nend\n',
  'trap in a worker': 'EngineError\nDisposedError\nend\n',
};

describe.each([1, 2, 7])('%i threads', (threads) => {
  it.each(Object.keys(ENDS))('%s', async (what) => {
    const { code, signal, out, err } = await runChild(what, threads);
    expect({ code, signal, out }, err).toEqual({ code: 0, signal: null, out: ENDS[what] });
  });

  it('many engines, half of them disposed', async () => {
    const { code, signal, out, err } = await runChild('many', threads);
    expect({ code, signal, out }, err).toEqual({ code: 0, signal: null, out: 'end\n' });
  });

  // Every binary runs so for its first moments, before V8's optimizing compiler takes over.
  it('plans are right in the code of the baseline compiler', async () => {
    const { code, signal, out, err } = await runChild('add up', threads, ['--liftoff-only']);
    expect({ code, signal, out }, err).toEqual({ code: 0, signal: null, out: 'end\n' });
  });

  it('an error that nobody catches ends the process with a code', async () => {
    const { code, signal, out, err } = await runChild('throw', threads);
    expect({ code, signal, out }, err).toEqual({ code: 1, signal: null, out: 'end\n' });
    expect(err).toContain('on purpose');
  });
});
