/** Folders of bytes on any host. */
export {
  type CachedDirectoryOptions,
  cachedDirectory,
  type DownloadProgress,
  type FileManifest,
  fileManifest,
} from './cached.ts';
export type { ByteFile, Directory, FileContent } from './directory.ts';
export { fileListDirectory } from './file-list.ts';
export { memoryDirectory } from './memory.ts';
export { openDirectory } from './open.ts';
export { opfsDirectory } from './opfs.ts';
export { checkPath } from './path.ts';
export { urlDirectory } from './url.ts';
