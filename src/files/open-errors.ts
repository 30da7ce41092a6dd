/** Why something is no folder that this host opens, or not one for what was asked of it, in words. */
import { EnvironmentError } from '../errors.ts';

export function unknownProtocol({ href, protocol }: URL): EnvironmentError {
  return new EnvironmentError(
    `${href}: expected a URL that starts with http:, https: or file:, got ${protocol}. Give one of those, or a path.`,
  );
}

export function noFileSystem(path: string): EnvironmentError {
  return new EnvironmentError(
    `${path}: expected a host with a file system or a page address, got neither. Give an https: URL or memoryDirectory().`,
  );
}

export function notASource(source: unknown): TypeError {
  return new TypeError(`openDirectory: expected a path, URL, Directory or files, got ${typeof source}.`);
}

/** A folder behind HTTP. */
export function notListable(name: string): EnvironmentError {
  return new EnvironmentError(
    `${name}: expected a folder that can be listed, got one behind HTTP. Open its files by name.`,
  );
}

/** A folder behind HTTP. */
export function notWritable(name: string, action: 'write' | 'remove'): EnvironmentError {
  return new EnvironmentError(
    `${name}: expected a folder that can be written, got one behind HTTP (${action}). Save to a path or to memoryDirectory().`,
  );
}
