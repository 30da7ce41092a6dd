/** Errors between a page and the worker of its engine: class, text and fields arrive. Whole engines in workers: test/platform. */
import { describe, expect, it } from 'vitest';
import { DisposedError, EngineError, EnvironmentError, LanewiseError, MemoryError } from '../../src/errors.ts';
import { decodeError, encodeError } from '../../src/runtime/messages.ts';

/** As postMessage would send it. */
const sent = (error: unknown) => decodeError(structuredClone(encodeError(error)));

describe('an error crosses', () => {
  it.each([
    new EnvironmentError('engine: expected SIMD, got none. Use another browser.'),
    new MemoryError('engine: expected 5 MiB, got a refusal. Close other models.', 5 << 20, 2 ** 32),
    new EngineError('engine: expected every thread to finish, got a trap in thread 3.', 3),
    new DisposedError('engine: expected a live model, got a disposed one. Load it again.'),
  ])('$name', (error) => {
    const found = sent(error);
    expect(found).not.toBe(error);
    expect(found.constructor).toBe(error.constructor);
    expect({ ...found, message: found.message }).toEqual({ ...error, message: error.message });
  });

  it('with its cause, as text', () => {
    const error = new EngineError('engine: a trap', 1, { cause: new RangeError('out of bounds') });
    expect(sent(error).cause).toBe('RangeError: out of bounds');
    expect('cause' in sent(new EngineError('engine: a trap', 1))).toBe(false);
  });

  it.each([
    [new RangeError('offset is out of bounds'), 'RangeError: offset is out of bounds'],
    ['a string', 'Error: a string'],
  ])('%s, which nobody threw on purpose, as an EngineError', (error, text) => {
    const found = sent(error);
    expect(found).toBeInstanceOf(EngineError);
    expect(found).toBeInstanceOf(LanewiseError);
    expect(found.message).toBe(
      `engine: expected an answer of its worker, got ${text}. This is an error of lanewise: please report it.`,
    );
  });
});
