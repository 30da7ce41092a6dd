/** Why something is no folder that this host opens, in words. */
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
