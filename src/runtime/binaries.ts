/**
 * The binaries, compiled once per process. They are found beside this package by URLs that bundlers recognize; a host
 * that compiles nothing itself, such as workerd, imports them statically and gives them here (`provideBinaries`).
 */
import { EnvironmentError } from '../errors.ts';
import { isNodeLike } from './host-kind.ts';

export type BinaryName =
  | 'simd128'
  | 'simd128-inference'
  | 'simd128-threads'
  | 'relaxed'
  | 'relaxed-inference'
  | 'relaxed-threads';

/** Bundlers find files by this very form, so each stands on its own. */
const URLS: Record<BinaryName, () => URL> = {
  simd128: () => new URL('../../wasm/simd128.wasm', import.meta.url),
  'simd128-inference': () => new URL('../../wasm/simd128-inference.wasm', import.meta.url),
  'simd128-threads': () => new URL('../../wasm/simd128-threads.wasm', import.meta.url),
  relaxed: () => new URL('../../wasm/relaxed.wasm', import.meta.url),
  'relaxed-inference': () => new URL('../../wasm/relaxed-inference.wasm', import.meta.url),
  'relaxed-threads': () => new URL('../../wasm/relaxed-threads.wasm', import.meta.url),
};

export type Binaries = Readonly<Partial<Record<BinaryName, WebAssembly.Module>>>;

let provided: Binaries | undefined;
const compiled = new Map<BinaryName, Promise<WebAssembly.Module>>();

/** Makes engines use these compiled modules and no others. */
export function provideBinaries(binaries: Binaries): void {
  provided = binaries;
}

/** What was given instead of the package's own files, if anything was. */
export function providedBinaries(): Binaries | undefined {
  return provided;
}

/** @throws EnvironmentError when the file is not there, or the host does not compile it */
export async function binaryModule(name: BinaryName): Promise<WebAssembly.Module> {
  if (provided) {
    const module = provided[name];
    if (module) return module;
    const names = Object.keys(provided).join(', ');
    throw new EnvironmentError(`engine: expected the binary ${name}, got only ${names}. Provide it too.`);
  }
  let module = compiled.get(name);
  if (!module) {
    module = compile(name);
    module.catch(() => compiled.delete(name));
    compiled.set(name, module);
  }
  return module;
}

async function compile(name: BinaryName): Promise<WebAssembly.Module> {
  const url = URLS[name]();
  try {
    if (isNodeLike && url.protocol === 'file:') {
      const { readFile } = process.getBuiltinModule('node:fs/promises');
      return await WebAssembly.compile(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    if (response.headers.get('content-type')?.startsWith('application/wasm'))
      return await WebAssembly.compileStreaming(response);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw new EnvironmentError(
      `engine: expected to load ${url.href}, got ${(cause as Error).message}. Install the package again, or run "npm run build" in a checkout.`,
      { cause },
    );
  }
}
