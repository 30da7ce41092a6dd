/** What `Directory.write` was given, as pieces of bytes. */

import { CheckpointError } from '../errors.ts';
import type { FileContent } from './directory.ts';

/** Text is encoded this many UTF-16 units at a time, so that a long text is never held twice. */
const TEXT_PIECE = 256 * 1024;

function* textPieces(text: string, name: string): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (let begin = 0; begin < text.length; ) {
    let end = Math.min(begin + TEXT_PIECE, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last < 0xdc00) end -= 1; // keep a surrogate pair together
    const piece = text.slice(begin, end);
    if (/\p{Surrogate}/u.test(piece)) {
      throw new CheckpointError(
        `${name}: expected text that UTF-8 can hold, got half a surrogate pair. Repair the text before saving it.`,
        { file: name },
      );
    }
    yield encoder.encode(piece);
    begin = end;
  }
}

/**
 * Brings every kind of content into pieces of bytes.
 * @param content what `Directory.write` was given.
 * @param name the file, for messages.
 * @throws TypeError when it is nothing that can be written.
 */
export function contentPieces(content: FileContent, name: string): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === 'string') return textPieces(content, name);
  if (content instanceof Uint8Array) return [content];
  if (content !== null && typeof content === 'object') {
    if (Symbol.asyncIterator in content || Symbol.iterator in content) return content;
  }
  throw new TypeError(`${name}: expected text, bytes or an iterable of bytes to write, got ${typeof content}.`);
}

/** Refuses a piece that is not bytes, such as a number out of an iterated array. */
export function checkPiece(piece: Uint8Array, name: string): Uint8Array {
  if (!(piece instanceof Uint8Array)) {
    throw new TypeError(`${name}: expected pieces of type Uint8Array to write, got ${typeof piece}.`);
  }
  return piece;
}
