/** What the folders of all hosts share. */

import { readWhole, readWholeText } from './bytes.ts';
import type { ByteFile, Directory, FileContent } from './directory.ts';
import { type ListableDirectory, Subdirectory } from './subdirectory.ts';

/** A folder of a host: the methods that follow from those in which hosts differ. */
export abstract class HostDirectory implements ListableDirectory {
  abstract readonly name: string;
  abstract has(path: string): Promise<boolean>;
  abstract open(path: string): Promise<ByteFile>;
  abstract listAt(prefix: string): Promise<string[]>;
  abstract write(path: string, content: FileContent): Promise<void>;
  abstract remove(path: string): Promise<void>;

  async readText(path: string): Promise<string> {
    return readWholeText(this.open(path));
  }

  async readBytes(path: string): Promise<Uint8Array> {
    return readWhole(this.open(path));
  }

  async list(): Promise<string[]> {
    return this.listAt('');
  }

  async subdirectory(path: string): Promise<Directory> {
    return new Subdirectory(this, path);
  }
}
