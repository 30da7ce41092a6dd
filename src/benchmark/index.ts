/** How fast lanewise is on a machine: works, their report, comparing reports, and where the time goes. */
export { type BenchmarkReport, benchmark } from './benchmark.ts';
export { type Check, checkAnswers, EXPECTED_CHECKSUM } from './check.ts';
export { type Comparison, checkReport, compareReports, isMeasured } from './compare.ts';
export type { BenchmarkEnvironment } from './environment.ts';
export type { MeasuredWork, SkippedWork, Unit, WorkResult } from './measure.ts';
export { type BenchmarkModelName, benchmarkModelNames, CHECKED_MODEL, DEFAULT_MODEL } from './models.ts';
export { type BenchmarkHost, type BenchmarkOptions, RUNS, WORKS, type WorkName } from './options.ts';
export { type Profile, type ProfileReport, type ProfileRow, profile } from './profile.ts';
