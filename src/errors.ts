/**
 * The typed errors of lanewise. Every message follows one grammar:
 * `<where>: expected <what>, got <what>. <what to do>`.
 * Values of the wrong JavaScript type throw TypeError; numbers out of range throw RangeError.
 */

/** Base class: `error instanceof LanewiseError` catches everything this package throws on purpose. */
export class LanewiseError extends Error {
  override name = 'LanewiseError';
}

/** Two shapes do not fit together. `operation` and both shapes stand as fields. */
export class ShapeError extends LanewiseError {
  override name = 'ShapeError';
  /** The operation at which it was noticed. */
  readonly operation: string;
  /** The shape that was expected. */
  readonly expected: readonly (number | string)[];
  /** The shape that was found. */
  readonly actual: readonly (number | string)[];
  constructor(
    operation: string,
    what: string,
    expected: readonly (number | string)[],
    actual: readonly (number | string)[],
    hint = '',
  ) {
    super(
      `${operation}: expected ${what} [${expected.join(', ')}], got [${actual.join(', ')}].${hint ? ` ${hint}` : ''}`,
    );
    this.operation = operation;
    this.expected = expected;
    this.actual = actual;
  }
}

/** A model, trainer or generation option is missing, contradictory or outside its range. */
export class ConfigError extends LanewiseError {
  override name = 'ConfigError';
}

/** A file of a model or checkpoint is missing, damaged or not what it claims to be. */
export class CheckpointError extends LanewiseError {
  override name = 'CheckpointError';
  /** The file or folder at fault, as far as it is known. */
  readonly file: string | undefined;
  constructor(message: string, options?: ErrorOptions & { file?: string }) {
    super(message, options);
    this.file = options?.file;
  }
}

/** A tokenizer file is malformed, or a text or id cannot be encoded or decoded. */
export class TokenizerError extends LanewiseError {
  override name = 'TokenizerError';
}

/** The data cannot be used for what was asked: a file that is empty, a text shorter than one context. */
export class DataError extends LanewiseError {
  override name = 'DataError';
}

/** The host lacks something (SIMD, threads, a file system); the message says how to obtain it. */
export class EnvironmentError extends LanewiseError {
  override name = 'EnvironmentError';
}

/** A thread of the engine ended in an error, which no input should bring about. `thread` 0 is the calling thread. */
export class EngineError extends LanewiseError {
  override name = 'EngineError';
  /** The thread that ended; 0 is the calling thread. */
  readonly thread: number;
  constructor(message: string, thread: number, options?: ErrorOptions) {
    super(message, options);
    this.thread = thread;
  }
}

/** More memory was asked for than WebAssembly has, or than the host gives. Sizes in bytes. */
export class MemoryError extends LanewiseError {
  override name = 'MemoryError';
  /** Bytes that were asked for. */
  readonly requestedBytes: number;
  /** Bytes that there are. */
  readonly limitBytes: number;
  constructor(message: string, requestedBytes: number, limitBytes: number, options?: ErrorOptions) {
    super(message, options);
    this.requestedBytes = requestedBytes;
    this.limitBytes = limitBytes;
  }
}

/**
 * A browser, or a disk, has no room for what is to be stored. Sizes in bytes: what is needed, as far as it is known, and
 * what is free, where the host says so.
 */
export class StorageError extends LanewiseError {
  override name = 'StorageError';
  /** Bytes that are needed, as far as it is known. */
  readonly requestedBytes: number;
  /** Bytes that are free, where the host says so. */
  readonly freeBytes: number | undefined;
  constructor(message: string, requestedBytes: number, freeBytes: number | undefined, options?: ErrorOptions) {
    super(message, options);
    this.requestedBytes = requestedBytes;
    this.freeBytes = freeBytes;
  }
}

/** Training cannot continue: a loss or gradient is not finite. `step` counts from 1. */
export class TrainingError extends LanewiseError {
  override name = 'TrainingError';
  /** The step, counted from 1. */
  readonly step: number;
  constructor(message: string, step: number, options?: ErrorOptions) {
    super(message, options);
    this.step = step;
  }
}

/** The object was disposed, and its memory given back. */
export class DisposedError extends LanewiseError {
  override name = 'DisposedError';
}
