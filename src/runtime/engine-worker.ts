/**
 * The worker in which the engine of a page lives: it hosts a LocalBackend, which may start thread workers of its own, and
 * does what the page posts, in the order in which it comes. LocalBackend takes each call when it is made, so nothing waits.
 */
import type { Backend } from './backend.ts';
import { holdLife } from './life.js';
import { createLocalBackend } from './local-backend.ts';
import { type Answer, type Call, encodeError, type Request } from './messages.ts';

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => void;
  postMessage(answer: Answer, transfer?: Transferable[]): void;
};

let backend: Backend | undefined;

/** The page calls `create` first, and waits for its answer. */
function created(): Backend {
  if (!backend) throw new Error('a call before the engine was made');
  return backend;
}

async function answerTo(call: Call): Promise<unknown> {
  switch (call.name) {
    case 'create':
      if (call.life !== undefined) await holdLife(`${call.life}-0`);
      backend = await createLocalBackend(call.options, call.kernels, call.life);
      return backend.info;
    case 'reserve':
      return created().reserve(call.bytes);
    case 'read': {
      const bytes = new Uint8Array(call.bytes);
      await created().read(call.address, bytes);
      return bytes;
    }
    case 'run':
      return created().run(call.context, call.first, call.count);
    case 'loadFull':
      return created().loadFull();
    case 'settle':
      return undefined;
  }
}

async function serve(call: Call & { readonly id: number }): Promise<void> {
  try {
    const value = await answerTo(call);
    scope.postMessage({ id: call.id, value }, value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []);
  } catch (error) {
    scope.postMessage({ id: call.id, error: encodeError(error) });
  }
}

scope.onmessage = ({ data }) => {
  for (const { address, data: bytes } of data.writes) created().write(address, bytes);
  if (data.call) void serve(data.call);
};
