/**
 * Checkpoints: folders `checkpoints/step-00000100` with the model, its moments, and `trainer.json`. That file is written
 * last and every file atomically, so a folder with a trainer.json is complete whenever the process died.
 */
import { CheckpointError } from '../errors.ts';
import type { Directory } from '../files/index.ts';
import { openSafetensors, writeSafetensors } from '../formats/index.ts';
import { entryOf, type ParameterBlock } from '../models/parameter-block.ts';
import type { Trainable } from './trainable.ts';

const STATE_FILE = 'trainer.json';
const MOMENTS_FILE = 'optimizer.safetensors';
const STEP_FOLDER = /^step-(\d{8,})\/?$/;

/** What a run is, beside weights and moments. Plain JSON. */
export interface TrainerState {
  readonly format: 'lanewise-trainer-1';
  /** Updates done. */
  readonly step: number;
  /** Options that determine the run; resuming with others is refused. */
  readonly settings: Record<string, unknown>;
  /** Of the data. */
  readonly fingerprint: string;
  /** Lowest evaluation loss so far, and how many evaluations ago it was. */
  readonly best: { readonly loss: number; readonly evaluationsSince: number } | null;
}

export interface Moments {
  readonly m: ParameterBlock;
  readonly v: ParameterBlock;
}

function folderOf(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** Steps of which there is a folder, newest first; complete or not. */
async function stepsIn(directory: Directory): Promise<number[]> {
  const steps = (await directory.list()).flatMap((name) => STEP_FOLDER.exec(name)?.[1] ?? []).map(Number);
  return steps.sort((a, b) => b - a);
}

/** Saves a checkpoint and removes all up to it but the newest `keep`. Returns its folder's name. */
export async function saveCheckpoint<Batch>(
  directory: Directory,
  model: Trainable<Batch>,
  moments: Moments,
  state: TrainerState,
  { keep, tokenizer }: { keep: number; tokenizer?: { toJSON(): object } | undefined },
): Promise<string> {
  const name = folderOf(state.step);
  const folder = await directory.subdirectory(name);
  await removeCheckpoint(directory, name); // complete, or what a killed process left
  try {
    await model.save(folder, tokenizer ? { tokenizer } : {});
    const entries = (['m', 'v'] as const).flatMap((moment) =>
      model.parameters.list.map((parameter) => entryOf(moments[moment], parameter, `${moment}.${parameter.name}`)),
    );
    await writeSafetensors(folder, MOMENTS_FILE, entries);
    await folder.write(STATE_FILE, `${JSON.stringify(state, null, 2)}\n`);
  } catch (error) {
    await removeCheckpoint(directory, name).catch(() => undefined); // a full disk needs the room
    throw error;
  }
  // Folders of later steps stay: they are incomplete, and written again when the run gets there, or of another run.
  const past = (await stepsIn(directory)).filter((step) => step <= state.step);
  for (const step of past.slice(keep)) await removeCheckpoint(directory, folderOf(step));
  return name;
}

/** Removes a checkpoint. Its state goes first: a process killed in between leaves a folder that does not count. */
async function removeCheckpoint(directory: Directory, name: string): Promise<void> {
  await (await directory.subdirectory(name)).remove(STATE_FILE);
  await directory.remove(name);
}

/** The complete checkpoints of a folder, newest first. */
export async function completeCheckpoints(directory: Directory): Promise<{ step: number; folder: Directory }[]> {
  const complete = [];
  for (const step of await stepsIn(directory)) {
    const folder = await directory.subdirectory(folderOf(step));
    if (await folder.has(STATE_FILE)) complete.push({ step, folder });
  }
  return complete;
}

/** The newest complete checkpoint's state, or undefined when there is none. */
export async function newestCheckpoint(
  directory: Directory,
): Promise<{ folder: Directory; state: TrainerState } | undefined> {
  const [newest] = await completeCheckpoints(directory);
  return newest && { folder: newest.folder, state: await readState(newest.folder, newest.step) };
}

async function readState(folder: Directory, step: number): Promise<TrainerState> {
  const file = `${folder.name}/${STATE_FILE}`;
  let state: TrainerState;
  try {
    state = JSON.parse(await folder.readText(STATE_FILE));
  } catch (cause) {
    throw new CheckpointError(
      `${file}: expected JSON, got ${(cause as Error).message}. Remove the folder to resume from an older one.`,
      { cause, file },
    );
  }
  if (!isState(state) || state.step !== step)
    throw new CheckpointError(
      `${file}: expected the state of step ${step}, got something else. Remove the folder to resume from an older one.`,
      { file },
    );
  return state;
}

function isState(state: TrainerState | null): boolean {
  if (state?.format !== 'lanewise-trainer-1') return false;
  const { settings, fingerprint, best } = state;
  if (typeof settings !== 'object' || settings === null || typeof fingerprint !== 'string') return false;
  return best === null || (typeof best?.loss === 'number' && Number.isSafeInteger(best.evaluationsSince));
}

/**
 * Puts weights and moments back.
 * @throws CheckpointError when a file is missing, damaged or of another model; nothing has changed then, unless a file
 * could no longer be read
 */
export async function restoreCheckpoint<Batch>(
  folder: Directory,
  model: Trainable<Batch>,
  moments: Moments,
): Promise<void> {
  const weights = await openSafetensors(folder, MOMENTS_FILE);
  try {
    const inFile = (['m', 'v'] as const).flatMap((moment) =>
      model.parameters.list.map((parameter) => ({ moment, parameter, tensor: `${moment}.${parameter.name}` })),
    );
    for (const { parameter, tensor } of inFile) {
      const { shape, file } = weights.info(tensor);
      if (shape.join() !== parameter.shape.join())
        throw new CheckpointError(
          `${file}: expected ${tensor} [${parameter.shape.join(', ')}], got [${shape.join(', ')}]. Remove the folder to resume from an older one.`,
          { file },
        );
    }
    await model.restore(folder);
    for (const { moment, parameter, tensor } of inFile) await moments[moment].load(parameter.name, weights, tensor);
  } finally {
    await weights.close();
  }
}
