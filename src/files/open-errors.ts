/** Why something is no folder that this host opens, or not one for what was asked of it, in words. */
import { EnvironmentError } from '../errors.ts';

/** What `openDirectory` was given and did not open. */
export function unopenable(source: unknown): Error {
  if (source instanceof URL)
    return new EnvironmentError(
      `${source.href}: expected a URL that starts with http:, https: or file:, got ${source.protocol}. Give one of those, or a path.`,
    );
  if (typeof source === 'string')
    return new EnvironmentError(
      `${source}: expected a host with a file system or a page address, got neither. Give an https: URL or memoryDirectory().`,
    );
  return new TypeError(`openDirectory: expected a path, URL, Directory or files, got ${typeof source}.`);
}

/** What a folder behind HTTP is asked for in vain. */
export function unable(name: string, action: 'list' | 'write' | 'remove'): EnvironmentError {
  return new EnvironmentError(
    action === 'list'
      ? `${name}: expected a folder that can be listed, got one behind HTTP. Open its files by name.`
      : `${name}: expected a folder that can be written, got one behind HTTP (${action}). Save to a path or to memoryDirectory().`,
  );
}
