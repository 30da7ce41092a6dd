/** Two reports side by side: ratios of medians, and how far the samples let them be trusted. */
import { DataError } from '../errors.ts';
import type { BenchmarkReport } from './benchmark.ts';
import type { MeasuredWork, Unit, WorkResult } from './measure.ts';

type Figures = Pick<MeasuredWork, 'median' | 'minimum' | 'maximum'>;

/** One work of both reports. */
export interface Comparison {
  readonly name: string;
  readonly unit: Unit;
  readonly a: Figures;
  readonly b: Figures;
  /** How many times as fast b is: of the medians. */
  readonly ratio: number;
  /** The same of b's slowest sample and a's fastest one. */
  readonly low: number;
  /** And of b's fastest and a's slowest. */
  readonly high: number;
}

/**
 * Compares the works that both reports measured, in the order of the first; works of the same name that did something
 * else, such as a prompt of another length, are left out.
 * @param a the older report
 * @param b the newer report
 * @returns ratios above 1 where b is faster, whatever the unit
 * @example
 * const [first] = compareReports(before, after);
 * console.log(first.name, first.ratio);
 */
export function compareReports(a: BenchmarkReport, b: BenchmarkReport): Comparison[] {
  return a.works.filter(isMeasured).flatMap((first): Comparison[] => {
    const second = b.works.filter(isMeasured).find((work) => work.name === first.name && work.detail === first.detail);
    if (!second) return [];
    const { name, unit } = first;
    const [slow, fast] = unit === 'ms' ? [second, first] : [first, second];
    const ratios = {
      ratio: fast.median / slow.median,
      low: fast.minimum / slow.maximum,
      high: fast.maximum / slow.minimum,
    };
    return [{ name, unit, a: figuresOf(first), b: figuresOf(second), ...ratios }];
  });
}

function figuresOf({ median, minimum, maximum }: MeasuredWork): Figures {
  return { median, minimum, maximum };
}

export function isMeasured(work: WorkResult): work is MeasuredWork {
  return !('skipped' in work);
}

/**
 * Checks that a value is a report.
 * @param where what the message names
 * @throws DataError when it is something else
 */
export function checkReport(value: unknown, where: string): BenchmarkReport {
  const report = value as BenchmarkReport | null;
  const isReport =
    report?.format === 'lanewise-benchmark-1' && Array.isArray(report.works) && Array.isArray(report.notes);
  if (!isReport || !report.works.every(isWork))
    throw new DataError(
      `${where}: expected a report of "lanewise bench --json", got other JSON. Write one with lanewise bench --json > ${where}.`,
    );
  return report;
}

function isWork(value: unknown): boolean {
  const work = value as Partial<MeasuredWork & { skipped: string }> | null;
  if (typeof work?.name !== 'string') return false;
  if (typeof work.skipped === 'string') return true;
  return typeof work.unit === 'string' && [work.median, work.minimum, work.maximum].every((x) => Number(x) > 0);
}
