/** Why a file is not read as a whole, in words. */
import { CheckpointError, MemoryError } from '../errors.ts';

/** Bytes that are not UTF-8. */
export function notUtf8(file: string, cause: unknown): CheckpointError {
  return new CheckpointError(
    `${file}: expected UTF-8 text, got bytes that are not UTF-8. Save the file as UTF-8, or fetch it again.`,
    { cause, file },
  );
}

/** Longer than a text can be. */
export function tooLong(file: string, bytes: number, most: number): CheckpointError {
  return new CheckpointError(
    `${file}: expected at most ${most} bytes of text, got ${bytes}. Check that this is the text file you meant.`,
    { file },
  );
}

/** More bytes than the host has room for. */
export function noRoom(file: string, bytes: number, cause: unknown): MemoryError {
  return new MemoryError(
    `${file}: expected room for ${bytes} bytes, got a refusal by the host. Read the file in pieces, or use a smaller one.`,
    bytes,
    2 ** 32,
    { cause },
  );
}
