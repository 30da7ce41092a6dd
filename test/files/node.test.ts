/** What only the file system does: surviving a kill, tidying up, refusals by the system. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, EnvironmentError } from '../../src/errors.ts';
import { openDirectory } from '../../src/files/index.ts';

const WRITER = ['run-typescript.mjs', 'endless-writer.ts'].map((file) => fileURLToPath(new URL(file, import.meta.url)));
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lanewise-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts a process that rewrites model.bin for ever, kills it after some writes, and waits for its end. */
async function killWriter(delayMs: number): Promise<void> {
  const child = spawn(process.execPath, [...WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  expect(child.exitCode, 'the writer failed').toBeNull();
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  child.kill('SIGKILL');
  await ended;
}

describe('a write that is killed', () => {
  it('leaves the old file or the new one, whole', async () => {
    const directory = await openDirectory(folder);
    let temporaries = 0;
    for (let round = 0; round < 12; round++) {
      await killWriter(round * 7);
      const bytes = await directory.readBytes('model.bin');
      expect(bytes.length).toBe(4_000_000);
      expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
      temporaries = (await readdir(folder)).filter((name) => name.endsWith('.tmp')).length;
      expect(await directory.list()).toEqual(['model.bin']);
    }
    expect(temporaries, 'no kill fell inside a write').toBeGreaterThan(0);
  });

  it('has its leftovers removed by a later write, once they are an hour old', async () => {
    const fresh = join(folder, '.lanewise-0123456789abcdef.tmp');
    const stale = join(folder, '.lanewise-fedcba9876543210.tmp');
    const foreign = join(folder, '.other.tmp');
    for (const path of [fresh, stale, foreign]) await writeFile(path, 'x');
    const old = Date.now() / 1000 - 3700;
    await utimes(stale, old, old);
    await utimes(foreign, old, old);
    await (await openDirectory(folder)).write('a', 'b');
    expect((await readdir(folder)).sort()).toEqual(['.lanewise-0123456789abcdef.tmp', '.other.tmp', 'a']);
  });
});

describe('nodeDirectory', () => {
  it('makes the folder, and those above it, at the first write', async () => {
    const directory = await openDirectory(join(folder, 'not/yet/there/'));
    expect(await directory.list()).toEqual([]);
    await directory.write('a', 'b');
    expect(await directory.readText('a')).toBe('b');
    expect(await directory.list()).toEqual(['a']);
  });

  it('follows symbolic links for reading, and replaces them when writing', async () => {
    await writeFile(join(folder, 'blob'), 'blob');
    await symlink('blob', join(folder, 'link'));
    await symlink('.', join(folder, 'loop'));
    await symlink('nowhere', join(folder, 'broken'));
    const directory = await openDirectory(folder);
    expect(await directory.readText('link')).toBe('blob');
    expect(await directory.list()).toEqual(['blob', 'broken', 'link', 'loop/']);
    expect(await directory.has('broken')).toBe(false);
    await directory.write('link', 'new');
    expect(await directory.readText('blob')).toBe('blob');
    expect((await stat(join(folder, 'link'))).isFile()).toBe(true);
  });

  it('says when a file shrinks while it is read', async () => {
    await writeFile(join(folder, 'a'), 'x'.repeat(100));
    const file = await (await openDirectory(folder)).open('a');
    await truncate(join(folder, 'a'), 40);
    await expect(file.read(0, new Uint8Array(100))).rejects.toThrow(
      `${folder}/a: expected at least 100 bytes, got 40. The file is truncated or still being written; fetch it again.`,
    );
    await file.close();
  });

  it('names a missing file, a folder and a device', async () => {
    const directory = await openDirectory(folder);
    await expect(directory.open('missing')).rejects.toThrow(
      `${folder}/missing: expected a file, got none. Check the path.`,
    );
    await expect(directory.open('missing')).rejects.toMatchObject({ file: `${folder}/missing` });
    await directory.write('sub/a', '');
    await expect(directory.open('sub')).rejects.toThrow(
      `${folder}/sub: expected a file, got a folder. Check the path.`,
    );
    await expect((await openDirectory('/dev')).open('zero')).rejects.toThrow(CheckpointError);
  });

  it('says why it cannot write', async () => {
    const proc = await openDirectory('/proc/1');
    await expect(proc.write('a', 'b')).rejects.toThrow(EnvironmentError);
    await expect(proc.write('a', 'b')).rejects.toThrow(
      /^\/proc\/1\/a: expected a place that can be written, got an error of the file system \([A-Z]+\)\. Choose a folder that this process may write\.$/,
    );
    const full = await openDirectory('/dev/full');
    await expect(full.write('a', 'b')).rejects.toThrow(EnvironmentError);
    const directory = await openDirectory(folder);
    await expect(directory.write('x'.repeat(300), 'b')).rejects.toThrow(/\(ENAMETOOLONG\)/);
    expect(await readdir(folder)).toEqual([]);
  });
});
