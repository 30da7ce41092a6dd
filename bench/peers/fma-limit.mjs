// Fused multiply-adds of f32 in registers only, 13 chains of 128 bits: what a matrix product in WebAssembly could reach.
import asc from 'assemblyscript/asc';
import { serveSamples } from './protocol.mjs';

const CHAINS = [...Array(13).keys()];
const ROUNDS = 2e7;
const source = `
export function multiplyAdd(out: usize, rounds: i32): void {
  const x = f32x4.splat(load<f32>(out)), y = f32x4.splat(load<f32>(out, 4));
  ${CHAINS.map((i) => `let c${i} = f32x4.splat(${i});`).join(' ')}
  for (; rounds > 0; rounds--) { ${CHAINS.map((i) => `c${i} = f32x4.relaxed_madd(c${i}, x, y);`).join(' ')} }
  ${CHAINS.map((i) => `v128.store(out, c${i}, ${16 * i + 16});`).join(' ')}
}`;
const enable = ['simd', 'relaxed-simd'];
const { binary, stderr } = await asc.compileString(source, {
  optimizeLevel: 3,
  noAssert: true,
  runtime: 'stub',
  importMemory: true,
  enable,
});
if (!binary) throw new Error(stderr.toString());
const memory = new WebAssembly.Memory({ initial: 1 });
const { multiplyAdd } = new WebAssembly.Instance(new WebAssembly.Module(binary), {
  env: { memory, abort() {} },
}).exports;
const floats = new Float32Array(memory.buffer);
floats.set([0.5, 1]);
for (let warm = 0; warm < 20; warm++) multiplyAdd(0, ROUNDS / 100);
await serveSamples(`fused multiply-adds in registers, node ${process.versions.node}`, async () => {
  const start = performance.now();
  multiplyAdd(0, ROUNDS);
  const seconds = (performance.now() - start) / 1000;
  return { seconds: seconds / ((2 * 4 * CHAINS.length * ROUNDS) / 1e9), check: floats[4] };
});
process.exit(0);
