/** One suite for every kind of folder. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError, DisposedError, EnvironmentError } from '../../src/errors.ts';
import {
  type Directory,
  fileListDirectory,
  memoryDirectory,
  openDirectory,
  urlDirectory,
} from '../../src/files/index.ts';
import { serveFiles } from './server.ts';

/** Longer than the pieces in which hosts read and keep bytes. */
const LARGE = new Uint8Array(9_000_017).map((_, i) => (i * 31) ^ (i >>> 8));
const FILES: Record<string, string | Uint8Array> = {
  'config.json': '{"größe": "€ 😀"}\n',
  'empty.bin': '',
  'large.bin': LARGE,
  'latin1.txt': new Uint8Array([0x67, 0xf6]),
  'bom.txt': '\ufeff{}',
  'a b/#1?%41.txt': 'odd name',
  'deep/er/file.txt': 'deep',
};

interface Host {
  readonly name: string;
  readonly canList: boolean;
  readonly canWrite: boolean;
  open(): Promise<Directory>;
  close?(): Promise<void>;
}

function nodeHost(): Host {
  let folder = '';
  return {
    name: 'node',
    canList: true,
    canWrite: true,
    async open() {
      folder = await mkdtemp(`${tmpdir()}/lanewise-`);
      for (const [path, content] of Object.entries(FILES)) {
        await mkdir(`${folder}/${path}/..`, { recursive: true }).catch(() => undefined);
        await rm(`${folder}/${path}`, { recursive: true, force: true });
        await writeFile(`${folder}/${path}`, content);
      }
      return openDirectory(folder);
    },
    close: () => rm(folder, { recursive: true }),
  };
}

function urlHost(name: string, noRanges: boolean): Host {
  let close = async (): Promise<void> => {};
  return {
    name,
    canList: false,
    canWrite: false,
    async open() {
      const server = await serveFiles(FILES, { noRanges });
      close = server.close;
      return openDirectory(server.url);
    },
    close: () => close(),
  };
}

const HOSTS: Host[] = [
  { name: 'memory', canList: true, canWrite: true, open: async () => memoryDirectory(FILES) },
  nodeHost(),
  urlHost('url with ranges', false),
  urlHost('url without ranges', true),
  {
    name: 'picked files',
    canList: true,
    canWrite: false,
    open: async () =>
      openDirectory(
        Object.entries(FILES).map(([path, content]) => {
          const file = new File([content as Uint8Array<ArrayBuffer> | string], path.split('/').at(-1)!);
          Object.defineProperty(file, 'webkitRelativePath', { value: `picked/${path}` });
          return file;
        }),
      ),
  },
];

const UNSAFE = [
  ['', 'an empty path'],
  ['/etc/passwd', 'an absolute path'],
  ['../secret', "the step '..'"],
  ['a/../../secret', "the step '..'"],
  ['a/./b', "the step '.'"],
  ['a//b', 'an empty name between slashes'],
  ['a/', 'an empty name between slashes'],
  ['a\\..\\b', 'a backslash'],
  ['C:/x', 'a drive letter'],
  ['c:x', 'a drive letter'],
  ['a\0.txt', 'a NUL character'],
  ['\ud800', 'half a surrogate pair'],
] as const;

describe.each(HOSTS)('$name', (host) => {
  let directory: Directory;
  beforeAll(async () => {
    directory = await host.open();
  });
  afterAll(async () => {
    await host.close?.();
  });

  it('reads text, bytes, empty files, odd names and subfolders', async () => {
    expect(await directory.readText('config.json')).toBe(FILES['config.json']);
    expect(await directory.readText('bom.txt')).toBe('\ufeff{}');
    expect(await directory.readText('empty.bin')).toBe('');
    expect(await directory.readText('a b/#1?%41.txt')).toBe('odd name');
    expect(Buffer.compare(await directory.readBytes('large.bin'), LARGE)).toBe(0);
    const deep = await (await directory.subdirectory('deep')).subdirectory('er');
    expect(await deep.readText('file.txt')).toBe('deep');
    expect(await deep.has('file.txt')).toBe(true);
    expect(deep.name.endsWith('/deep/er')).toBe(true);
  });

  it('reads at any offset, forwards, backwards and at once', async () => {
    const file = await directory.open('large.bin');
    expect(file.size).toBe(LARGE.length);
    expect(file.name.endsWith('large.bin')).toBe(true);
    const ranges = [
      [0, 8],
      [8, 5_000_000],
      [5_100_000, 100],
      [4_194_300, 10],
      [0, 1],
      [LARGE.length - 3, 3],
      [LARGE.length, 0],
    ] as const;
    for (const [offset, length] of ranges) {
      const target = new Uint8Array(length);
      await file.read(offset, target);
      expect(Buffer.compare(target, LARGE.subarray(offset, offset + length))).toBe(0);
    }
    const targets = ranges.map(([, length]) => new Uint8Array(length));
    await Promise.all(ranges.map(([offset], i) => file.read(offset, targets[i]!)));
    for (const [i, [offset, length]] of ranges.entries()) {
      expect(Buffer.compare(targets[i]!, LARGE.subarray(offset, offset + length))).toBe(0);
    }
    await file.close();
  });

  it('reads into shared memory', async () => {
    const file = await directory.open('large.bin');
    const target = new Uint8Array(new SharedArrayBuffer(5_000_000), 16, 4_500_000);
    await file.read(77, target);
    expect(Buffer.compare(target, LARGE.subarray(77, 77 + target.length))).toBe(0);
    await file.close();
  });

  it('refuses reads past the end, senseless offsets, and reads after close', async () => {
    const file = await directory.open('config.json');
    const size = file.size;
    await expect(file.read(size - 1, new Uint8Array(2))).rejects.toThrow(
      `expected at least ${size + 1} bytes, got ${size}. The file is truncated or still being written; fetch it again.`,
    );
    await expect(file.read(size - 1, new Uint8Array(2))).rejects.toThrow(CheckpointError);
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 60]) {
      await expect(file.read(offset, new Uint8Array(1))).rejects.toThrow(RangeError);
    }
    await file.close();
    await file.close();
    await expect(file.read(0, new Uint8Array(1))).rejects.toThrow(DisposedError);
  });

  it('refuses text that is not UTF-8', async () => {
    await expect(directory.readText('latin1.txt')).rejects.toThrow(CheckpointError);
    await expect(directory.readText('latin1.txt')).rejects.toThrow(
      /latin1\.txt: expected UTF-8 text, got bytes that are not UTF-8\. Save the file as UTF-8, or fetch it again\.$/,
    );
  });

  it('says what is there and what is not', async () => {
    expect(await directory.has('config.json')).toBe(true);
    expect(await directory.has('deep/er/file.txt')).toBe(true);
    expect(await directory.has('missing')).toBe(false);
    expect(await directory.has('deep')).toBe(false);
    expect(await directory.has('config.json/x')).toBe(false);
    await expect(directory.open('missing')).rejects.toThrow(CheckpointError);
    await expect(directory.open('missing')).rejects.toThrow(/missing/);
    await expect(directory.open('deep')).rejects.toThrow(CheckpointError);
  });

  it.each(UNSAFE)('refuses the path %j', async (path, found) => {
    const message = `expected a relative path inside the folder, got ${found} in ${JSON.stringify(path)}. Name the file by plain names with / between them.`;
    const inner = await directory.subdirectory('deep');
    for (const folder of [directory, inner]) {
      await expect(folder.open(path)).rejects.toThrow(message);
      await expect(folder.open(path)).rejects.toThrow(CheckpointError);
      await expect(folder.has(path)).rejects.toThrow(message);
      await expect(folder.readText(path)).rejects.toThrow(message);
      await expect(folder.readBytes(path)).rejects.toThrow(message);
      await expect(folder.write(path, '')).rejects.toThrow(message);
      await expect(folder.remove(path)).rejects.toThrow(message);
      await expect(folder.subdirectory(path)).rejects.toThrow(message);
    }
  });

  if (host.canList) {
    it('lists files and folders', async () => {
      expect(await directory.list()).toEqual([
        'a b/',
        'bom.txt',
        'config.json',
        'deep/',
        'empty.bin',
        'large.bin',
        'latin1.txt',
      ]);
      expect(await (await directory.subdirectory('deep')).list()).toEqual(['er/']);
      expect(await (await directory.subdirectory('nowhere')).list()).toEqual([]);
    });
  } else {
    it('says that it cannot list', async () => {
      const inner = await directory.subdirectory('deep');
      for (const folder of [directory, inner]) {
        await expect(folder.list()).rejects.toThrow(EnvironmentError);
        await expect(folder.list()).rejects.toThrow(/cannot|expected a folder that can be listed, got one behind HTTP/);
      }
    });
  }

  if (!host.canWrite) {
    it('says that it cannot write', async () => {
      const inner = await directory.subdirectory('deep');
      for (const folder of [directory, inner]) {
        await expect(folder.write('x', '')).rejects.toThrow(EnvironmentError);
        await expect(folder.remove('x')).rejects.toThrow(/expected a folder that can be written.*memoryDirectory\(\)/);
      }
    });
    return;
  }

  it('writes text, bytes, iterables and streams, and makes folders', async () => {
    const long = `${'ab😀'.repeat(100_000)}x`; // surrogate pairs cross the pieces in which text is encoded
    await directory.write('out/text.txt', long);
    expect(await directory.readText('out/text.txt')).toBe(long);
    await directory.write('out/bytes', LARGE);
    expect(Buffer.compare(await directory.readBytes('out/bytes'), LARGE)).toBe(0);
    await directory.write('out/bytes', [new Uint8Array([1]), new Uint8Array(0), new Uint8Array([2, 3])]);
    expect([...(await directory.readBytes('out/bytes'))]).toEqual([1, 2, 3]);
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7);
    await directory.write('out/shared', shared);
    expect([...(await directory.readBytes('out/shared'))]).toEqual([7, 7, 7]);
    const inner = await directory.subdirectory('out/sub');
    await inner.write('deeper/file', (async function* () {})());
    expect(await directory.readText('out/sub/deeper/file')).toBe('');
    expect(await (await directory.subdirectory('out')).list()).toEqual(['bytes', 'shared', 'sub/', 'text.txt']);
  });

  it('takes each piece before it asks for the next', async () => {
    const buffer = new Uint8Array(100_000);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 100; i++) yield buffer.fill(i);
    }
    await directory.write('pieces', pieces());
    const bytes = await directory.readBytes('pieces');
    for (let i = 0; i < bytes.length; i += 50_000) expect(bytes[i]).toBe(Math.floor(i / 100_000));
  });

  it('keeps the old file when the content fails, and throws what the content threw', async () => {
    await directory.write('kept', 'old');
    const boom = new Error('boom');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      throw boom;
    }
    await expect(directory.write('kept', failing())).rejects.toBe(boom);
    await expect(directory.write('kept', [1 as never])).rejects.toThrow(TypeError);
    await expect(directory.write('kept', 5 as never)).rejects.toThrow(TypeError);
    await expect(directory.write('kept', 'x\ud800y')).rejects.toThrow(
      /kept: expected text that UTF-8 can hold, got half a surrogate pair/,
    );
    expect(await directory.readText('kept')).toBe('old');
    expect((await directory.list()).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('keeps an open file as it was when it is written anew', async () => {
    await directory.write('swap', 'before');
    const file = await directory.open('swap');
    await directory.write('swap', 'after!');
    const bytes = new Uint8Array(6);
    await file.read(0, bytes);
    expect(new TextDecoder().decode(bytes)).toBe('before');
    await file.close();
    expect(await directory.readText('swap')).toBe('after!');
  });

  it('removes files, folders and nothing', async () => {
    await directory.write('gone/a', '1');
    await directory.write('gone/b/c', '2');
    await directory.remove('gone/a');
    expect(await directory.has('gone/a')).toBe(false);
    expect(await directory.has('gone/b/c')).toBe(true);
    await directory.remove('gone');
    expect(await directory.has('gone/b/c')).toBe(false);
    await directory.remove('gone');
  });

  it('refuses to write a file over a folder, or below a file', async () => {
    await directory.write('place/file', '1');
    await expect(directory.write('place', '2')).rejects.toThrow(/place/);
    await expect(directory.write('place/file/below', '2')).rejects.toThrow(/place/);
    expect(await directory.readText('place/file')).toBe('1');
  });
});

describe('openDirectory', () => {
  it('returns a folder as it is', async () => {
    const memory = memoryDirectory();
    expect(await openDirectory(memory)).toBe(memory);
  });

  it('opens file: URLs', async () => {
    const directory = await openDirectory(new URL('.', import.meta.url));
    expect(await directory.has('directory.test.ts')).toBe(true);
    const byText = await openDirectory(new URL('.', import.meta.url).href);
    expect(await byText.has('directory.test.ts')).toBe(true);
  });

  it('refuses other schemes and other things', async () => {
    await expect(openDirectory(new URL('ftp://host/x'))).rejects.toThrow(EnvironmentError);
    await expect(openDirectory(new URL('ftp://host/x'))).rejects.toThrow(
      'ftp://host/x: expected a URL that starts with http:, https: or file:, got ftp:. Give one of those, or a path.',
    );
    await expect(openDirectory(5 as never)).rejects.toThrow(TypeError);
    await expect(openDirectory(null as never)).rejects.toThrow(TypeError);
    await expect(openDirectory({} as never)).rejects.toThrow(TypeError);
  });

  it('keeps the query of a URL out of names', () => {
    expect(urlDirectory('https://host/gpt2?token=secret').name).toBe('https://host/gpt2/');
  });
});

describe('fileListDirectory', () => {
  it('takes files picked one by one', async () => {
    const directory = fileListDirectory([new File(['{}'], 'config.json'), new File(['x'], 'model.safetensors')]);
    expect(await directory.list()).toEqual(['config.json', 'model.safetensors']);
    await expect(directory.open('tokenizer.json')).rejects.toThrow(
      'picked files: expected the file tokenizer.json, got config.json, model.safetensors. Pick it together with the others.',
    );
  });

  it('refuses two files of one name', () => {
    expect(() => fileListDirectory([new File(['1'], 'a'), new File(['2'], 'a')])).toThrow(
      'picked files: expected files with different names, got a twice. Pick the files of one folder.',
    );
  });

  it('says when the browser no longer gives a file', async () => {
    const file = new File(['12345678'], 'a');
    Object.defineProperty(file, 'slice', {
      value: () => ({ arrayBuffer: () => Promise.reject(new DOMException('changed', 'NotReadableError')) }),
    });
    const open = await fileListDirectory([file]).open('a');
    await expect(open.read(0, new Uint8Array(4))).rejects.toThrow(
      'a: expected a readable file, got a refusal by the browser. It was changed or removed since it was picked; pick it again.',
    );
  });
});
