// The matrices of the GEMM peers: seeded, the same for all. C[m, n] = A[m, k] · B[k, n].
/** Numbers from −1 to 1, a linear congruential sequence. */
export function numbers(count, seed) {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
}

export const matrices = ({ m, n, k }) => ({ a: numbers(m * k, 1), b: numbers(k * n, 2) });

/** Seconds of one product, from as many as take a quarter of a second; `multiply` returns C or a promise of it. */
export async function timeProduct(multiply) {
  let out;
  let count = 0;
  const start = performance.now();
  let end = start;
  for (; end - start < 250; end = performance.now()) {
    out = await multiply();
    count++;
  }
  return { seconds: (end - start) / 1000 / count, out };
}
