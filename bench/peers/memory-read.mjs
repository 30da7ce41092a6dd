// Reads 512 MiB of linear memory from front to back, 64 bytes at a time: what decoding, which reads every weight once, can reach.
import asc from 'assemblyscript/asc';
import { serveSamples } from './protocol.mjs';

const BYTES = 512 << 20;
const source = `
export function read(at: usize, bytes: usize): i32 {
  let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = at + bytes; at < end; at += 64) {
    s0 = v128.xor(s0, v128.load(at));
    s1 = v128.xor(s1, v128.load(at, 16));
    s2 = v128.xor(s2, v128.load(at, 32));
    s3 = v128.xor(s3, v128.load(at, 48));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(s0, s1), v128.xor(s2, s3)), 0);
}`;
const options = { optimizeLevel: 3, noAssert: true, runtime: 'stub', importMemory: true, enable: ['simd'] };
const { binary, stderr } = await asc.compileString(source, options);
if (!binary) throw new Error(stderr.toString());
const memory = new WebAssembly.Memory({ initial: BYTES / 65536 });
const { read } = new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory, abort() {} } }).exports;
new Int32Array(memory.buffer).fill(1);
new Int32Array(memory.buffer)[0] = 7;
read(0, BYTES);
await serveSamples(`plain read of memory, node ${process.versions.node}`, async () => {
  const start = performance.now();
  for (let pass = 0; pass < 4; pass++) read(0, BYTES);
  return { seconds: (performance.now() - start) / 1000 / ((4 * BYTES) / 1e9), check: read(0, BYTES) };
});
process.exit(0);
