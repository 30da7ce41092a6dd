/**
 * Checkpoints: folders `checkpoints/step-00000100` with the model, its moments, and `trainer.json`. That file is written
 * last and every file atomically, so a folder with a trainer.json is complete whenever the process died. It has the checksums
 * of all others and one of itself, so that damage is found before anything is used.
 */
import { CheckpointError } from '../errors.ts';
import type { Directory } from '../files/index.ts';
import { crc32, openSafetensors, writeSafetensors } from '../formats/index.ts';
import { entryOf, type ParameterBlock } from '../models/index.ts';
import type { TrainableModel } from '../objectives/index.ts';
import { checkFiles, type FileChecksum, hexOf, NotingDirectory } from './checksums.ts';

const STATE_FILE = 'trainer.json';
const MOMENTS_FILE = 'optimizer.safetensors';
const STEP_FOLDER = /^step-(\d{8,})\/?$/;
const ADVICE = 'Remove the folder to resume from an older one.';

/** `format` in trainer.json. */
const FORMAT = 'lanewise-trainer-2';
/** Without checksums, as it was written up to November 2026. Such a checkpoint is resumed as it stands. */
const FORMAT_WITHOUT_CHECKSUMS = 'lanewise-trainer-1';

/** What a run is, beside weights and moments. Plain JSON. */
export interface TrainerState {
  /** Updates done. */
  readonly step: number;
  /** Options that determine the run; resuming with others is refused. */
  readonly settings: Record<string, unknown>;
  /** Of the data. */
  readonly fingerprint: string;
  /** Lowest evaluation loss so far, and how many evaluations ago it was. */
  readonly best: { readonly loss: number; readonly evaluationsSince: number } | null;
}

/** A state as it stands in a folder. */
interface StoredState extends TrainerState {
  readonly format: string;
  /** Of the other files, by path. */
  readonly files: Readonly<Record<string, FileChecksum>>;
}

/** A complete checkpoint that was found. */
export interface FoundCheckpoint {
  readonly folder: Directory;
  readonly state: TrainerState;
  /** Of its files, by path; none where it was saved without checksums. */
  readonly files: Readonly<Record<string, FileChecksum>>;
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
export async function saveCheckpoint(
  directory: Directory,
  model: TrainableModel,
  moments: Moments,
  state: TrainerState,
  { keep, tokenizer }: { keep: number; tokenizer?: { toJSON(): object } | undefined },
): Promise<string> {
  const name = folderOf(state.step);
  const folder = new NotingDirectory(await directory.subdirectory(name));
  await removeCheckpoint(directory, name); // complete, or what a killed process left
  try {
    await model.save(folder, tokenizer ? { tokenizer } : {});
    const entries = (['m', 'v'] as const).flatMap((moment) =>
      model.parameters.list.map((parameter) => entryOf(moments[moment], parameter, `${moment}.${parameter.name}`)),
    );
    await writeSafetensors(folder, MOMENTS_FILE, entries);
    const stored: StoredState = { format: FORMAT, ...state, files: Object.fromEntries(folder.noted) };
    await folder.write(STATE_FILE, `${JSON.stringify({ ...stored, crc32: checksumOf(stored) }, null, 2)}\n`);
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

/** The newest complete checkpoint, or undefined when there is none. */
export async function newestCheckpoint(directory: Directory): Promise<FoundCheckpoint | undefined> {
  const [newest] = await completeCheckpoints(directory);
  return newest && { folder: newest.folder, ...(await readState(newest.folder, newest.step)) };
}

/** CRC-32 of a state's content, however its file is laid out. */
const checksumOf = (state: object) => hexOf(crc32(new TextEncoder().encode(JSON.stringify(state))));

async function readState(folder: Directory, step: number): Promise<Pick<FoundCheckpoint, 'state' | 'files'>> {
  const file = `${folder.name}/${STATE_FILE}`;
  const fail = (expected: string, found: string, cause?: unknown): never => {
    throw new CheckpointError(`${file}: expected ${expected}, got ${found}. ${ADVICE}`, { cause, file });
  };
  let stored: (StoredState & { readonly crc32?: unknown }) | null = null;
  try {
    stored = JSON.parse(await folder.readText(STATE_FILE));
  } catch (cause) {
    fail('JSON', (cause as Error).message, cause);
  }
  if (!isState(stored) || stored.step !== step) return fail(`the state of step ${step}`, 'something else');
  const { crc32: noted, ...content } = stored;
  const { format, files, ...state } = content;
  if (format === FORMAT_WITHOUT_CHECKSUMS) return { state, files: {} };
  if (noted !== checksumOf(content)) fail(`content of crc32 ${noted}`, `damaged content of ${checksumOf(content)}`);
  return { state, files };
}

/** Whether all that is read of a state is there; damage that leaves it so is found by its checksum. */
function isState(state: StoredState | null): state is StoredState {
  if (state?.format !== FORMAT && state?.format !== FORMAT_WITHOUT_CHECKSUMS) return false;
  if (state.format === FORMAT && (typeof state.files !== 'object' || state.files === null)) return false;
  const { settings, fingerprint, best } = state;
  if (typeof settings !== 'object' || settings === null || typeof fingerprint !== 'string') return false;
  return best === null || (typeof best?.loss === 'number' && Number.isSafeInteger(best.evaluationsSince));
}

/**
 * Puts weights and moments back.
 * @throws CheckpointError when a file is missing, damaged or of another model; nothing has changed then, unless a file
 * could no longer be read
 */
export async function restoreCheckpoint(
  { folder, files }: FoundCheckpoint,
  model: TrainableModel,
  moments: Moments,
): Promise<void> {
  await checkFiles(folder, files, ADVICE);
  const weights = await openSafetensors(folder, MOMENTS_FILE);
  try {
    const inFile = (['m', 'v'] as const).flatMap((moment) =>
      model.parameters.list.map((parameter) => ({ moment, parameter, tensor: `${moment}.${parameter.name}` })),
    );
    for (const { parameter, tensor } of inFile) {
      const { shape, file } = weights.info(tensor);
      if (shape.join() !== parameter.shape.join())
        throw new CheckpointError(
          `${file}: expected ${tensor} [${parameter.shape.join(', ')}], got [${shape.join(', ')}]. ${ADVICE}`,
          { file },
        );
    }
    await model.restore(folder);
    for (const { moment, parameter, tensor } of inFile) await moments[moment].load(parameter.name, weights, tensor);
  } finally {
    await weights.close();
  }
}
