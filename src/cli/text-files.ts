/** Text from files and stdin, exactly: bytes that are not UTF-8 are refused, a byte order mark stays. */
import { readFile } from 'node:fs/promises';
import { DataError, MemoryError } from '../errors.ts';

/** V8's longest string, characters; UTF-8 has at least as many bytes. */
const MAX_TEXT_BYTES = 2 ** 29 - 24;

/**
 * Reads text files and joins them in order.
 * @throws DataError for a file that is missing or not UTF-8; MemoryError for more than a string holds
 */
export async function readTextFiles(paths: readonly string[]): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let [text, total] = ['', 0];
  for (const [index, path] of paths.entries()) {
    const bytes = await readBytes(path);
    total += bytes.length;
    if (total > MAX_TEXT_BYTES)
      throw new MemoryError(
        `${path}: expected at most ${MAX_TEXT_BYTES} bytes of text in all, got more. Use a part of it.`,
        total,
        MAX_TEXT_BYTES,
      );
    try {
      text += decoder.decode(bytes, { stream: index < paths.length - 1 });
    } catch (cause) {
      throw new DataError(`${path}: expected UTF-8 text, got other bytes. Convert it, for example with iconv.`, {
        cause,
      });
    }
  }
  return text;
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const found =
      code === 'ENOENT' || code === 'ENOTDIR' ? 'none' : code === 'EISDIR' ? 'a folder' : `an error (${code})`;
    throw new DataError(`${path}: expected a file, got ${found}. Check the path.`, { cause });
  }
}

/** All of stdin as text. */
export async function readStdin(): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new DataError('stdin: expected UTF-8 text, got other bytes. Convert it, for example with iconv.', { cause });
  }
}

/**
 * Reads JSON text.
 * @param where what the message names
 */
export function parseJsonText(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: expected JSON, got ${(cause as Error).message}. Check the file.`, { cause });
  }
}

/** Whether a value is an array of whole numbers from 0, which ids are. */
export function isIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);
}
