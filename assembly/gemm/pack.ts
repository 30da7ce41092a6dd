/**
 * Packing: a block of A or B is copied into panels that the tile (tile.ts) reads from front to back.
 *
 *   A block of `lanes` × `steps` (lanes: rows of A or columns of B; steps: k) becomes ⌈lanes / W⌉ panels, W = MR or NR:
 *
 *      panel 0                      panel 1
 *      step 0     step 1            step 0
 *     ┌──────────┬──────────┬── ┈  ┌──────────┬── ┈
 *     │ 0 … W−1  │ 0 … W−1  │      │ W … 2W−1 │            the last panel is filled up with zeros
 *     └──────────┴──────────┴── ┈  └──────────┴── ┈
 *
 * In memory one of the two strides is 4 bytes (neighbouring floats). When it is the lanes', packing is copying;
 * when it is the steps', it is transposing, 4 × 4 floats at a time. Source: the panels of K. Goto, R. van de Geijn,
 * "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (2008).
 */
import { IS_FULL } from '../build';

/**
 * Steps (or lanes, when transposing) read side by side, a cache line of each in turn: rows of a large matrix lie pages
 * apart, and this is how such memory is read fastest (bench/README.md). The lines wait in the first-level cache.
 */
const VISIT = 16;

/**
 * dst[panel][step][lane] = src[lane, step]; overwrites ⌈lanes / W⌉ · W · steps floats.
 *   src  element (lane, step) at src + lane·laneStride + step·stepStride bytes; one of the strides is 4
 *   W    1, 2, 4, 6 or 16, a constant at the call
 * Binaries for inference pack nothing but rows of A as they are, so that steps are neighbours.
 */
// @ts-ignore: decorator
@inline export function pack(
  dst: usize, src: usize, laneStride: usize, stepStride: usize,
  lanes: i32, steps: i32, W: i32,
): void {
  const panelBytes = <usize>(W * steps) << 2;
  const panels = lanes / W, rest = lanes - panels * W;
  if (W == 1 && stepStride == 4) memory.copy(dst, src, <usize>(lanes * steps) << 2);
  else if (IS_FULL && laneStride == 4) copyPanels(dst, panelBytes, src, stepStride, panels, steps, W);
  else transposePanels(dst, panelBytes, src, laneStride, panels, steps, W);
  if (rest) {
    const edge = dst + <usize>panels * panelBytes;
    packEdge(edge, src + <usize>(panels * W) * laneStride, laneStride, stepStride, rest, steps, W);
  }
}

/** Steps [step, step + count) of panels of `steps` steps, each lane's steps being neighbours in memory. */
// @ts-ignore: decorator
@inline export function packSteps(
  dst: usize, src: usize, laneStride: usize, lanes: i32, step: i32, count: i32, steps: i32, W: i32,
): void {
  const panelBytes = <usize>(W * steps) << 2, panels = lanes / W, rest = lanes - panels * W;
  dst += <usize>(W * step) << 2;
  transposePanels(dst, panelBytes, src, laneStride, panels, count, W);
  if (rest) {
    const edge = dst + <usize>panels * panelBytes;
    packEdge(edge, src + <usize>(panels * W) * laneStride, laneStride, 4, rest, count, W);
  }
}

/** Panels whose lanes are neighbours: VISIT steps of all panels, then the next. */
// @ts-ignore: decorator
@inline function copyPanels(
  dst: usize, panelBytes: usize, src: usize, stepStride: usize,
  panels: i32, steps: i32, W: i32,
): void {
  for (; steps > 0; steps -= VISIT) {
    let to = dst, from = src, left = panels;
    const count = min(steps, VISIT);
    for (; left >= 4; left -= 4) {
      copyFourPanels(to, panelBytes, from, stepStride, count, W);
      to += 4 * panelBytes;
      from += <usize>(W << 4);
    }
    for (; left > 0; left--) {
      copyPanel(to, from, stepStride, count, W);
      to += panelBytes;
      from += <usize>(W << 2);
    }
    dst += <usize>(VISIT * W << 2);
    src += <usize>VISIT * stepStride;
  }
}

// @ts-ignore: decorator
@inline function copyFourPanels(dst: usize, panelBytes: usize, src: usize, stepStride: usize, steps: i32, W: i32): void {
  const dst1 = dst + panelBytes, dst2 = dst1 + panelBytes, dst3 = dst2 + panelBytes;
  for (let at: usize = 0, end = <usize>(W * steps << 2); at < end; at += <usize>(W << 2)) {
    copyLanes(dst + at, src, W);
    copyLanes(dst1 + at, src + <usize>(W << 2), W);
    copyLanes(dst2 + at, src + <usize>(W << 3), W);
    copyLanes(dst3 + at, src + <usize>(W * 12), W);
    src += stepStride;
  }
}

// @ts-ignore: decorator
@inline function copyPanel(dst: usize, src: usize, stepStride: usize, steps: i32, W: i32): void {
  for (; steps > 0; steps--) {
    copyLanes(dst, src, W);
    dst += <usize>(W << 2);
    src += stepStride;
  }
}

/** W neighbouring floats. */
// @ts-ignore: decorator
@inline function copyLanes(dst: usize, src: usize, W: i32): void {
  if (W == 1) store<u32>(dst, load<u32>(src));
  if (W == 2) store<u64>(dst, load<u64>(src));
  if (W >= 4) v128.store(dst, v128.load(src));
  if (W == 6) store<u64>(dst, load<u64>(src, 16), 16);
  if (W == 16) {
    v128.store(dst, v128.load(src, 16), 16);
    v128.store(dst, v128.load(src, 32), 32);
    v128.store(dst, v128.load(src, 48), 48);
  }
}

/** Panels whose lanes are rows of neighbouring steps: VISIT steps of two panels, then the next steps. */
// @ts-ignore: decorator
@inline function transposePanels(
  dst: usize, panelBytes: usize, src: usize, laneStride: usize,
  panels: i32, steps: i32, W: i32,
): void {
  const panelStride = laneStride * <usize>W;
  for (; panels > 0; panels -= 2) {
    for (let step = 0; step < steps; step += VISIT) {
      const count = min(steps - step, VISIT), to = dst + <usize>(W * step << 2), from = src + (<usize>step << 2);
      transposePanel(to, from, laneStride, count, W);
      if (panels > 1) transposePanel(to + panelBytes, from + panelStride, laneStride, count, W);
    }
    dst += 2 * panelBytes;
    src += 2 * panelStride;
  }
}

function transposePanel(dst: usize, src: usize, laneStride: usize, steps: i32, W: i32): void {
  const lane4 = src + 4 * laneStride, lane8 = lane4 + 4 * laneStride, lane12 = lane8 + 4 * laneStride;
  let step = 0;
  for (; step + 4 <= steps; step += 4) {
    const at = <usize>step << 2;
    if (W >= 4) transpose4x4(dst, <usize>(W << 2), src + at, laneStride);
    if (W == 2) transpose2x4(dst, <usize>(W << 2), src + at, laneStride);
    if (W == 6) transpose2x4(dst + 16, <usize>(W << 2), lane4 + at, laneStride);
    if (W == 16) {
      transpose4x4(dst + 16, <usize>(W << 2), lane4 + at, laneStride);
      transpose4x4(dst + 32, <usize>(W << 2), lane8 + at, laneStride);
      transpose4x4(dst + 48, <usize>(W << 2), lane12 + at, laneStride);
    }
    dst += <usize>(W << 4);
  }
  for (; step < steps; step++) {
    let from = src + (<usize>step << 2);
    for (let lane = 0; lane < W; lane++) {
      store<f32>(dst, load<f32>(from));
      dst += 4;
      from += laneStride;
    }
  }
}

/** Four rows of four floats become four rows of four. */
// @ts-ignore: decorator
@inline function transpose4x4(dst: usize, dstStride: usize, src: usize, srcStride: usize): void {
  const r0 = v128.load(src), r1 = v128.load(src + srcStride);
  const r2 = v128.load(src + 2 * srcStride), r3 = v128.load(src + 3 * srcStride);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(dst, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(dst + dstStride, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  v128.store(dst + 2 * dstStride, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(dst + 3 * dstStride, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}

/** Two rows of four floats become four rows of two. */
// @ts-ignore: decorator
@inline function transpose2x4(dst: usize, dstStride: usize, src: usize, srcStride: usize): void {
  const r0 = v128.load(src), r1 = v128.load(src + srcStride);
  const low = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  v128.store_lane<u64>(dst, low, 0);
  v128.store_lane<u64>(dst + dstStride, low, 1);
  v128.store_lane<u64>(dst + 2 * dstStride, high, 0);
  v128.store_lane<u64>(dst + 3 * dstStride, high, 1);
}

/** A panel of fewer than W lanes, filled up with zeros. */
function packEdge(
  dst: usize, src: usize, laneStride: usize, stepStride: usize,
  lanes: i32, steps: i32, W: i32,
): void {
  for (; steps > 0; steps--) {
    let from = src;
    for (let lane = 0; lane < W; lane++) {
      store<f32>(dst, lane < lanes ? load<f32>(from) : 0);
      dst += 4;
      from += laneStride;
    }
    src += stepStride;
  }
}
