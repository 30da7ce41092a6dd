/**
 * What a binary exports, and how it is instantiated. Plain JavaScript, because worker threads load it
 * as it stands on every supported Node, also straight from `src`.
 */

/**
 * What a lanewise binary exports. Addresses are bytes; `context` is a plan's run context, `control` the control block.
 * @typedef {object} KernelExports
 * @property {(context: number, first: number, count: number, thread: number, threads: number) => void} run
 * @property {(descriptor: number, context: number, thread: number, threads: number) => void} runOne
 * @property {(control: number, context: number, first: number, count: number, threads: number) => void} dispatch
 * @property {(control: number, thread: number, seen: number) => void} work
 * @property {(control: number, thread: number) => void} fail
 */

/**
 * Instantiates a compiled binary on a memory. Exports are plain functions of numbers: AssemblyScript's loader, which makes
 * objects of them, would add nothing (asconfig.json: `exportRuntime` is off).
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 * @returns {KernelExports}
 */
export function instantiateKernels(module, memory) {
  return /** @type {any} */ (new WebAssembly.Instance(module, { env: { memory } }).exports);
}
