/** Profiles: every operation is in one row of each table, flops and bytes add up. Times are never looked at. */
import { describe, expect, it } from 'vitest';
import { type Profile, type ProfileReport, type ProfileRow, profile } from '../../src/benchmark/index.ts';
import type { BenchmarkOptions } from '../../src/benchmark/options.ts';
import { ConfigError } from '../../src/errors.ts';

async function finish(options: BenchmarkOptions): Promise<{ yielded: Profile[]; report: ProfileReport }> {
  const yielded: Profile[] = [];
  const run = profile({ model: 'gpt2-tiny', threads: 2, precision: 'exact', ...options });
  for (;;) {
    const next = await run.next();
    if (next.done) return { yielded, report: next.value };
    yielded.push(next.value);
  }
}

const total = (rows: readonly ProfileRow[], of: (row: ProfileRow) => number) =>
  rows.reduce((sum, row) => sum + of(row), 0);

/** Multiply-adds of a block of gpt2-tiny and a row: four products of 64 × 64 by their widths. */
const BLOCK_FLOPS = 2 * 64 * (3 * 64 + 64 + 4 * 64 + 4 * 64);

describe('profile', () => {
  it('shows prefill, decoding and training by kind and by label', async () => {
    const { yielded, report } = await finish({});
    expect(report).toMatchObject({ format: 'lanewise-profile-1', model: 'gpt2-tiny', threads: 2, runs: 5 });
    expect(report.profiles).toEqual(yielded);
    expect(yielded.map(({ name }) => name)).toEqual(['pp512', 'tg128', 'train']);
    for (const { kinds, groups, operationMilliseconds, milliseconds } of yielded) {
      expect(milliseconds).toBeGreaterThan(0);
      for (const rows of [kinds, groups]) {
        expect(total(rows, ({ milliseconds }) => milliseconds)).toBeCloseTo(operationMilliseconds, 6);
        expect(total(rows, ({ share }) => share)).toBeCloseTo(1, 6);
        expect(rows.map(({ milliseconds }) => milliseconds)).toEqual(
          rows.map(({ milliseconds }) => milliseconds).toSorted((a, b) => b - a),
        );
        expect(rows.every(({ gigabytes }) => gigabytes > 0)).toBe(true);
      }
      expect(total(kinds, ({ operations }) => operations)).toBe(total(groups, ({ operations }) => operations));
    }
  });

  it('counts operations, flops and bytes', async () => {
    const { report } = await finish({ only: ['tg128', 'pp512', 'batch8'] });
    const [prefill, decode, batch] = report.profiles;
    const gemm = ({ kinds }: Profile) => kinds.find(({ name }) => name === 'gemm')!;
    const flops = (row: ProfileRow) => row.gflops * row.milliseconds * 1e6;
    // Two blocks of four products, and the output layer, which only the last row reaches.
    expect(gemm(prefill!).operations).toBe(9);
    expect(flops(gemm(prefill!))).toBeCloseTo(512 * 2 * BLOCK_FLOPS + 2 * 64 * 256, 0);
    expect(flops(gemm(decode!))).toBeCloseTo(2 * BLOCK_FLOPS + 2 * 64 * 256, 0);
    expect(flops(gemm(batch!))).toBeCloseTo(8 * (2 * BLOCK_FLOPS + 2 * 64 * 256), 0);
    // Decoding reads every weight of the products once: 4 bytes for each multiply-add, and what goes in and out.
    const bytes = gemm(decode!).gigabytes * gemm(decode!).milliseconds * 1e6;
    expect(bytes).toBeGreaterThan(2 * (2 * BLOCK_FLOPS + 2 * 64 * 256));
    expect(bytes).toBeLessThan(1.1 * 2 * (2 * BLOCK_FLOPS + 2 * 64 * 256));
    expect(decode!.groups.map(({ name }) => name)).toContain('transformer.h.*.attn.c_attn');
    expect(decode!.groups.find(({ name }) => name === 'transformer.h.*.ln_1')!.operations).toBe(2);
  });

  it('names kinds and labels of the backward pass', async () => {
    const [train] = (await finish({ only: ['train'] })).yielded;
    const names = (rows: readonly ProfileRow[]) => rows.map(({ name }) => name);
    expect(names(train!.kinds)).toEqual(
      expect.arrayContaining(['gemm', 'layer norm backward', 'attention backward', 'adamw', 'cross entropy']),
    );
    expect(names(train!.groups)).toEqual(expect.arrayContaining(['d transformer.h.*.mlp.c_fc', 'lm_head', 'adamw']));
    expect(names(train!.groups).filter((name) => /\d/.test(name.replace(/ln_\d/, '')))).toEqual([]);
  });

  it('refuses works that are no plan', async () => {
    await expect(finish({ only: ['gemm'] })).rejects.toThrow(ConfigError);
    await expect(finish({ only: ['pp512', 'load'] })).rejects.toThrow(
      'profile: expected works that are one plan (pp512, tg128, batch8, train), got load. Leave it out.',
    );
  });
});
