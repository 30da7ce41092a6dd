/**
 * The messages between a page and the worker of its engine. Calls are answered by their number, errors keep their type.
 * Writes are not answered; those that were made before a call come with it.
 */
import { DisposedError, EngineError, EnvironmentError, type LanewiseError, MemoryError } from '../errors.ts';
import type { BackendOptions, Kernels } from './backend.ts';

export type Call =
  | {
      readonly name: 'create';
      readonly options: BackendOptions;
      readonly kernels: Kernels;
      readonly life: string | undefined;
    }
  | { readonly name: 'reserve'; readonly bytes: number }
  | { readonly name: 'read'; readonly address: number; readonly bytes: number }
  | { readonly name: 'run'; readonly context: number; readonly first: number; readonly count: number }
  | { readonly name: 'loadFull' }
  | { readonly name: 'settle' };

export interface Write {
  readonly address: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

export interface Request {
  readonly writes: readonly Write[];
  /** What is to be done after the writes, and answered. */
  readonly call?: Call & { readonly id: number };
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorMessage };

/** An error as plain data: a structured clone would keep neither its class nor its fields. */
export interface ErrorMessage {
  readonly name: string;
  readonly message: string;
  readonly cause: string | undefined;
  readonly thread: number;
  readonly requestedBytes: number;
  readonly limitBytes: number;
}

export function encodeError(error: unknown): ErrorMessage {
  const { name = 'Error', message = String(error), cause } = error as Partial<Error>;
  return {
    name,
    message,
    cause: cause === undefined ? undefined : String(cause),
    thread: error instanceof EngineError ? error.thread : 0,
    requestedBytes: error instanceof MemoryError ? error.requestedBytes : 0,
    limitBytes: error instanceof MemoryError ? error.limitBytes : 0,
  };
}

/** The error that `encodeError` was given, with its class; one of another class is an EngineError of this name. */
export function decodeError({ name, message, cause, thread, requestedBytes, limitBytes }: ErrorMessage): LanewiseError {
  const options = cause === undefined ? {} : { cause };
  switch (name) {
    case 'MemoryError':
      return new MemoryError(message, requestedBytes, limitBytes, options);
    case 'EngineError':
      return new EngineError(message, thread, options);
    case 'EnvironmentError':
      return new EnvironmentError(message, options);
    case 'DisposedError':
      return new DisposedError(message, options);
    default:
      return new EngineError(
        `engine: expected an answer of its worker, got ${name}: ${message}. This is an error of lanewise: please report it.`,
        thread,
        options,
      );
  }
}
