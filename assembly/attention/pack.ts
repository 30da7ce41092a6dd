/** Packing the keys and values of one head into the layouts of head.ts. Strides (`ld`) are in bytes. */

/** out[key / 8][headSize][8] = inp[key, d], overwritten; keys past the last are 0. */
export function packPanels(out: usize, inp: usize, ld: usize, keys: i32, headSize: i32): void {
  let key = 0;
  for (; key + 8 <= keys; key += 8) {
    const low = inp + <usize>key * ld;
    const high = low + 4 * ld;
    let d = 0;
    for (; d + 4 <= headSize; d += 4) {
      transpose4(out, low + (<usize>d << 2), ld);
      transpose4(out + 16, high + (<usize>d << 2), ld);
      out += 128;
    }
    for (; d < headSize; d++) {
      const column = low + (<usize>d << 2);
      for (let lane: usize = 0; lane < 8; lane++) store<f32>(out + (lane << 2), load<f32>(column + lane * ld));
      out += 32;
    }
  }
  if (key == keys) return;
  const first = inp + <usize>key * ld;
  const count = <usize>(keys - key);
  for (let d = 0; d < headSize; d++) {
    for (let lane: usize = 0; lane < 8; lane++) {
      store<f32>(out + (lane << 2), lane < count ? load<f32>(first + lane * ld + (<usize>d << 2)) : 0);
    }
    out += 32;
  }
}

/** out[d][0..4) = inp[0..4)[d] for four d; rows of `out` are 32 bytes apart. */
// @ts-ignore: decorator
@inline function transpose4(out: usize, inp: usize, ld: usize): void {
  const a = v128.load(inp), b = v128.load(inp + ld), c = v128.load(inp + 2 * ld), d = v128.load(inp + 3 * ld);
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5), ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5), cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(out, v128.shuffle<i64>(ab0, cd0, 0, 2));
  v128.store(out, v128.shuffle<i64>(ab0, cd0, 1, 3), 32);
  v128.store(out, v128.shuffle<i64>(ab1, cd1, 0, 2), 64);
  v128.store(out, v128.shuffle<i64>(ab1, cd1, 1, 3), 96);
}

/**
 * out[group][key][8] = inp[key, 8·group …], groups `groupStride` bytes apart, overwritten. The last group of a
 * headSize that is no multiple of 8 starts at column headSize − 8; a headSize below 8 is padded with 0.
 */
export function packGroups(out: usize, groupStride: usize, inp: usize, ld: usize, keys: i32, headSize: i32): void {
  if (headSize < 8) {
    for (let key = 0; key < keys; key++) {
      for (let at: usize = 0; at < 32; at += 4) store<f32>(out + at, <i32>at < headSize << 2 ? load<f32>(inp + at) : 0);
      out += 32;
      inp += ld;
    }
    return;
  }
  for (let key = 0; key < keys; key++) {
    let to = out, d = 0;
    for (; d + 8 <= headSize; d += 8) {
      v128.store(to, v128.load(inp + (<usize>d << 2)));
      v128.store(to, v128.load(inp + (<usize>d << 2), 16), 16);
      to += groupStride;
    }
    if (d < headSize) {
      const last = inp + (<usize>(headSize - 8) << 2);
      v128.store(to, v128.load(last));
      v128.store(to, v128.load(last, 16), 16);
    }
    out += 32;
    inp += ld;
  }
}

/** out[0..cols) = inp[0..cols) · factor, overwritten. */
export function copyRow(out: usize, inp: usize, cols: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (; cols >= 4; cols -= 4) {
    v128.store(out, f32x4.mul(v128.load(inp), factors));
    out += 16;
    inp += 16;
  }
  for (; cols > 0; cols--) {
    store<f32>(out, load<f32>(inp) * factor);
    out += 4;
    inp += 4;
  }
}
