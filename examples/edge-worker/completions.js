/**
 * The example's request handler, the same on every host: POST /v1/completions continues a text and streams it as
 * server-sent events. The model is loaded with the first request and stays.
 *
 * Requests run side by side, each with a key-value cache of its own: a token of one, a token of another. A stream makes a
 * token only when its reader asks for one, so a slow client costs nothing, and one that goes away ends its generation.
 */
import { LanewiseError, loadModel } from 'lanewise';

/** More at once are refused: each needs a cache, 4 MB in the 10M model of make-model.mjs. */
const MAX_STREAMS = 4;
const MAX_BODY_BYTES = 64 * 1024;

/** The fields of a request besides `prompt`: what they must be, and the option of lanewise that they are. */
const FIELDS = {
  max_tokens: { option: 'maxNewTokens', expected: 'a whole number from 1 to 512', test: wholeNumber(1, 512) },
  temperature: { option: 'temperature', expected: 'a number from 0 to 2', test: number(0, 2) },
  top_k: { option: 'topK', expected: 'a whole number from 1', test: wholeNumber(1, Number.MAX_SAFE_INTEGER) },
  top_p: { option: 'topP', expected: 'a number above 0 and at most 1', test: number(Number.MIN_VALUE, 1) },
  seed: { option: 'seed', expected: 'a whole number from 0', test: wholeNumber(0, Number.MAX_SAFE_INTEGER) },
  stop: { option: 'stop', expected: 'a string or up to 4 strings, none empty', test: stopStrings },
};

/** @param {number} low @param {number} high @returns {(value: unknown) => boolean} */
function number(low, high) {
  return (value) => typeof value === 'number' && value >= low && value <= high;
}

/** @param {number} low @param {number} high @returns {(value: unknown) => boolean} */
function wholeNumber(low, high) {
  return (value) => Number.isSafeInteger(value) && number(low, high)(value);
}

/** @param {unknown} value */
function stopStrings(value) {
  const list = Array.isArray(value) ? value : [value];
  return list.length <= 4 && list.every((item) => typeof item === 'string' && item !== '');
}

/** What is wrong with a request, as its answer says it. */
class RequestError extends Error {
  /**
   * @param {number} status
   * @param {string} type
   * @param {string} message
   * @param {string | null} param the field that is wrong
   * @param {Record<string, string>} headers
   */
  constructor(status, type, message, param = null, headers = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
    this.headers = headers;
  }

  toResponse() {
    const { status, type, message, param, headers } = this;
    return Response.json({ error: { type, message, param } }, { status, headers });
  }
}

/** Lets other requests, and the sending of what was made, have their turn; else a host that buffers runs a stream to its end. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** @param {string} message @param {string | null} [param] */
const invalid = (message, param) => new RequestError(400, 'invalid_request', message, param);

/**
 * Reads and checks a request.
 * @param {Request} request
 * @returns {Promise<{ prompt: string, options: import('lanewise').TextOptions }>}
 */
async function readRequest(request) {
  const { pathname } = new URL(request.url);
  if (pathname !== '/v1/completions')
    throw new RequestError(404, 'not_found', `expected the path /v1/completions, got ${pathname}`);
  if (request.method !== 'POST')
    throw new RequestError(405, 'method_not_allowed', `expected POST, got ${request.method}`, null, { allow: 'POST' });
  const text = await readBody(request);
  /** @type {unknown} */
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw invalid(`expected a body of JSON, got something else (${/** @type {Error} */ (error).message})`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid('expected a JSON object with the field prompt');
  const { prompt, ...fields } = /** @type {Record<string, unknown>} */ (body);
  if (typeof prompt !== 'string' || prompt === '')
    throw invalid(`expected prompt to be a text, got ${JSON.stringify(prompt) ?? 'none'}`, 'prompt');
  /** @type {Record<string, unknown>} */
  const options = { maxNewTokens: 64 };
  for (const [name, value] of Object.entries(fields)) {
    const field = FIELDS[/** @type {keyof typeof FIELDS} */ (name)];
    if (!Object.hasOwn(FIELDS, name))
      throw invalid(`expected prompt, ${Object.keys(FIELDS).join(', ')}, got the field ${name}`, name);
    if (!field.test(value))
      throw invalid(`expected ${name} to be ${field.expected}, got ${JSON.stringify(value)}`, name);
    options[field.option] = value;
  }
  return { prompt, options };
}

/**
 * A body of at most MAX_BODY_BYTES, whatever its Content-Length says.
 * @param {Request} request
 */
async function readBody(request) {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (request.body ?? []))) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES)
      throw new RequestError(413, 'too_large', `expected a body of at most ${MAX_BODY_BYTES} bytes, got more`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

/** An event of the stream, in the form of OpenAI's completions. @param {string} text @param {string | null} reason @param {object} more */
function event(text, reason, more = {}) {
  const choices = [{ index: 0, text, finish_reason: reason }];
  return `data: ${JSON.stringify({ object: 'text_completion', choices, ...more })}\n\n`;
}

/**
 * Makes the handler.
 * @param {(env: any) => Promise<string | import('lanewise').Directory>} openFolder finds the model's folder
 * @returns {(request: Request, env?: any, context?: { waitUntil(promise: Promise<unknown>): void }) => Promise<Response>}
 */
export function completions(openFolder) {
  /** @type {Promise<import('lanewise').TextModel> | undefined} */
  let loading;
  let streams = 0;

  /** @param {any} env */
  async function load(env) {
    // One thread: edge hosts have no more. Exact precision: a seed gives the same text on every host.
    return loadModel(await openFolder(env), { threads: 1, precision: 'exact' });
  }

  return async function handle(request, env, context) {
    try {
      const { prompt, options } = await readRequest(request);
      if (!loading) {
        loading = load(env);
        // A failure is told to those who wait, and the next request tries again.
        const settled = loading.then(
          () => {},
          () => {
            loading = undefined;
          },
        );
        context?.waitUntil(settled); // the other requests' model too: the first client may leave while it loads
      }
      const gpt = await loading;
      if (streams >= MAX_STREAMS)
        throw new RequestError(503, 'busy', `expected at most ${MAX_STREAMS} requests at once, got one more`, null, {
          'retry-after': '1',
        });
      return new Response(stream(gpt, prompt, { ...options, signal: request.signal }), {
        headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' },
      });
    } catch (error) {
      if (error instanceof RequestError) return error.toResponse();
      console.error(error);
      const message = error instanceof LanewiseError ? error.message : 'an error of this program; its log says which';
      return new RequestError(500, 'server_error', message).toResponse();
    }
  };

  /**
   * @param {import('lanewise').TextModel} gpt
   * @param {string} prompt
   * @param {import('lanewise').TextOptions} options
   */
  function stream(gpt, prompt, options) {
    const generation = gpt.generate(prompt, options);
    const encoder = new TextEncoder();
    let isOpen = true;
    streams++;
    function end() {
      if (isOpen) streams--;
      isOpen = false;
    }
    return new ReadableStream(
      {
        async pull(controller) {
          try {
            const step = await generation.next();
            await turn();
            if (!isOpen) return;
            if (!step.done) {
              controller.enqueue(encoder.encode(event(step.value, null)));
              return;
            }
            const { finishReason, promptTokens, tokenIds } = step.value;
            const usage = { prompt_tokens: promptTokens, completion_tokens: tokenIds.length };
            const reason = finishReason === 'length' || finishReason === 'context' ? 'length' : 'stop';
            controller.enqueue(encoder.encode(`${event('', reason, { usage })}data: [DONE]\n\n`));
            controller.close();
            end();
          } catch (error) {
            end();
            controller.error(error);
          }
        },
        async cancel() {
          end();
          await generation.return(/** @type {never} */ (undefined)); // gives the cache back
        },
      },
      { highWaterMark: 0 },
    );
  }
}
