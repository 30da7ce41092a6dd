/** The file of `train --log`: one line of JSON for each step, in order, also when a run was interrupted and resumed. */
import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { EnvironmentError } from '../errors.ts';
import type { TrainStep } from '../training/index.ts';
import { systemError } from './folders.ts';

export class TrainLog {
  readonly #file: number;

  /**
   * Opens the log; lines of steps after `step`, which will be done again, are removed.
   * @throws EnvironmentError when the file cannot be written
   */
  constructor(path: string, step: number) {
    try {
      if (step === 0) writeFileSync(path, '');
      else keepLines(path, step);
      this.#file = openSync(path, 'a');
    } catch (cause) {
      throw new EnvironmentError(
        `${path}: expected a file that can be written, got ${systemError(cause)}. Choose another --log.`,
        { cause },
      );
    }
  }

  write({ evaluation, ...step }: TrainStep): void {
    const line = { ...step, ...(evaluation && { evalLoss: evaluation.loss, evalAccuracy: evaluation.accuracy }) };
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Leaves the complete lines of earlier steps; a killed process may have left half of one. */
function keepLines(path: string, step: number): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const kept = text.split('\n').filter((line) => {
    try {
      return JSON.parse(line).step <= step;
    } catch {
      return false;
    }
  });
  writeFileSync(`${path}.tmp`, kept.map((line) => `${line}\n`).join(''));
  renameSync(`${path}.tmp`, path); // a process that is killed here loses nothing
}
