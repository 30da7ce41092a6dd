/**
 * What the command line prints. Results go to stdout; progress, notes and errors go to stderr, so that stdout can be piped.
 * On a terminal progress is one line that is redrawn, elsewhere a plain line every few seconds.
 */
import type { BackendInfo } from '../runtime/backend.ts';

/** Between two redraws of the status line on a terminal, milliseconds. */
const REDRAW_MS = 100;
/** Between two progress lines where stderr is a file or a pipe, milliseconds. */
const LINE_MS = 5000;
const BAR_CELLS = 20;

/** Writes a result line. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes the last line of stdout of `--json`: one object; NaN and infinities become null, as JSON has neither. */
export function printJson(value: object): void {
  print(JSON.stringify(value));
}

/** Writes a line to stderr, above the status line where there is one. */
export function note(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? CLEAR : ''}${text}\n`);
}

/** What ran the kernels, as text, and why it is not what was requested. */
export function describeEngine({ runtime, binary, threads, notes }: BackendInfo): string {
  const where = `${binary} on ${runtime}, ${threads} thread${threads === 1 ? '' : 's'}`;
  return [where, ...notes].join('; ');
}

/** 1234567 → 1,234,567. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** 75 → 1m15s. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  if (hours > 0) return `${hours}h${two(minutes)}m`;
  return minutes > 0 ? `${minutes}m${two(rest)}s` : `${rest}s`;
}

/** Bytes as the largest unit that keeps them above 1. */
export function bytes(value: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let scaled = value;
  for (; scaled >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${unit === 0 ? scaled : scaled.toFixed(1)} ${units[unit]}`;
}

const CLEAR = '\r\x1b[2K';

/** A bar with text after it that shows how far a run has come. */
export class Progress {
  readonly #total: number;
  #shown = Number.NEGATIVE_INFINITY;
  #line = '';

  constructor(total: number) {
    this.#total = total;
  }

  /** Shows `done` of the total, as often as is useful. */
  update(done: number, text: string): void {
    const now = performance.now();
    const { isTTY, columns = 80 } = process.stderr;
    if (now - this.#shown < (isTTY ? REDRAW_MS : LINE_MS) && done < this.#total) return;
    this.#shown = now;
    const counter = `${String(done).padStart(String(this.#total).length)}/${this.#total}`;
    if (!isTTY) {
      process.stderr.write(`${counter}  ${text}\n`);
      return;
    }
    const filled = Math.round((done / this.#total) * BAR_CELLS);
    this.#line = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)} ${counter}  ${text}`.slice(0, columns - 1);
    process.stderr.write(CLEAR + this.#line);
  }

  /** Leaves the last state on the screen; call it at the end of a run however it ended. */
  finish(): void {
    if (process.stderr.isTTY && this.#line !== '') process.stderr.write('\n');
    this.#line = '';
  }
}
