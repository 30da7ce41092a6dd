/** Checksums of files on their way: what is noted is what was written, however it came. */
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { checkFiles, NotingDirectory } from '../../src/training/checksums.ts';

const bytes = Uint8Array.from({ length: 1_300_000 }, (_, i) => (i * i) >> 3);
/** One buffer for all pieces, as producers may do. */
function* reused(size: number) {
  const piece = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    piece.set(part);
    yield piece.subarray(0, part.length);
  }
}

describe('NotingDirectory', () => {
  it('notes text, bytes and pieces alike, and writes them as they are', async () => {
    const inner = memoryDirectory();
    const folder = new NotingDirectory(inner);
    await folder.write('digits', '123456789');
    await folder.write('whole', bytes);
    await folder.write('pieces', reused(70_001));
    await folder.write(
      'later',
      (async function* () {
        yield* reused(1024);
      })(),
    );
    await (await folder.subdirectory('below')).write('it', 'é');
    expect(folder.noted.get('digits')).toEqual({ bytes: 9, crc32: 'cbf43926' }); // the check value of CRC-32
    expect(folder.noted.get('whole')!.bytes).toBe(bytes.length);
    for (const name of ['pieces', 'later']) {
      expect(folder.noted.get(name)).toEqual(folder.noted.get('whole'));
      expect(Buffer.compare(await inner.readBytes(name), bytes)).toBe(0);
    }
    expect(folder.noted.get('below/it')!.bytes).toBe(2);
    await checkFiles(inner, Object.fromEntries(folder.noted), 'Advice.');
  });

  it('forgets what is removed, and notes nothing of a write that failed', async () => {
    const folder = new NotingDirectory(memoryDirectory());
    await folder.write('a', 'a');
    await folder.write('b/c', 'c');
    await folder.write('bc', 'bc');
    await folder.remove('b');
    const failing = folder.write(
      'a2',
      (function* () {
        yield bytes;
        throw new Error('no more');
      })(),
    );
    await expect(failing).rejects.toThrow('no more');
    expect([...folder.noted.keys()]).toEqual(['a', 'bc']);
  });
});

describe('checkFiles', () => {
  it('names the file, what was saved and what is there', async () => {
    const folder = new NotingDirectory(memoryDirectory({}, 'here'));
    await folder.write('one', bytes);
    const files = Object.fromEntries(folder.noted);
    const check = () => checkFiles(folder, files, 'Do this.');
    const damaged = bytes.slice();
    damaged[1_299_999]! ^= 128;
    await folder.write('one', damaged);
    await expect(check()).rejects.toThrow(CheckpointError);
    await expect(check()).rejects.toThrow(
      `one: expected the bytes that were saved, of crc32 ${files.one!.crc32}, got damaged ones of crc32 ${folder.noted.get('one')!.crc32}. Do this.`,
    );
    await folder.write('one', bytes.subarray(1));
    await expect(check()).rejects.toThrow('one: expected the 1300000 bytes that were saved, got 1299999. Do this.');
    await folder.remove('one');
    await expect(check()).rejects.toThrow(CheckpointError);
  });
});
