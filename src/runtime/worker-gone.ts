/** The error of an engine of which a worker is no more. */
import { EngineError } from '../errors.ts';

/** @param found how it was noticed */
export function workerGone(found: string, thread = 0): EngineError {
  return new EngineError(
    `engine: expected its worker to live as long as the model, got: ${found}. The browser ends workers when memory is short. The model cannot be used any more: load or create it again.`,
    thread,
  );
}
