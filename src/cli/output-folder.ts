/** The folder that `train` writes: what may be there already, and making sure that it can be written before any work. */
import { CheckpointError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, INDEX_FILE, WEIGHTS_FILE } from '../formats/index.ts';
import { type ParsedConfig, readConfig } from '../models/index.ts';
import { completeCheckpoints } from '../training/checkpoint.ts';
import { checkFolder, makeFolder } from './folders.ts';
import { CHECKPOINTS } from './model-folder.ts';

/** What makes a folder one of a model, or of adapters. */
const MODEL_FILES = ['config.json', WEIGHTS_FILE, INDEX_FILE, ADAPTER_CONFIG, ADAPTER_WEIGHTS];
const WRITTEN_FILES = [...MODEL_FILES, 'tokenizer.json'];

export interface OutputFlags {
  readonly resume?: boolean;
  readonly overwrite?: boolean;
}

/**
 * Refuses a folder whose content a new run would replace.
 * @returns the newest checkpoint to resume from, where there is one and it was asked for
 * @throws CheckpointError saying what is there
 */
export async function checkOutput(
  out: string,
  { resume, overwrite }: OutputFlags,
): Promise<{ step: number; folder: Directory } | undefined> {
  await checkFolder(out);
  const directory = await openDirectory(out);
  const [newest] = await completeCheckpoints(await directory.subdirectory(CHECKPOINTS));
  if (resume) return newest;
  if (overwrite) return undefined;
  const hasModel = await Promise.all(MODEL_FILES.map((file) => directory.has(file)));
  if (newest || hasModel.includes(true))
    throw new CheckpointError(
      `${out}: expected a new folder, got one with ${newest ? `checkpoints up to step ${newest.step}` : 'a model'}. ` +
        `${newest ? 'Continue with --resume, replace' : 'Replace'} it with --overwrite, or choose another --out.`,
      { file: out },
    );
  return undefined;
}

/**
 * Refuses to resume a checkpoint of another model; the trainer compares options and data itself, and what adapters belong to.
 * @throws CheckpointError naming the first difference
 */
export async function checkSameModel(
  { folder }: { folder: Directory },
  asked: ParsedConfig,
  isLora: boolean,
): Promise<void> {
  const hasAdapters = await folder.has(ADAPTER_CONFIG);
  if (hasAdapters !== isLora) {
    const [adapters, model] = ['a checkpoint of adapters', 'a checkpoint of a whole model'];
    throw new CheckpointError(
      `${folder.name}: expected ${isLora ? adapters : model}, got ${isLora ? model : adapters}. Resume ${isLora ? 'without' : 'with'} --lora, as the run began, or choose another --out.`,
      { file: folder.name },
    );
  }
  if (isLora) return;
  const file = `${folder.name}/config.json`;
  const found = await readConfig(folder);
  const differ = (name: string, expected: unknown, got: unknown) => {
    if (expected !== got)
      throw new CheckpointError(
        `${file}: expected ${name} ${JSON.stringify(expected)}, got a checkpoint with ${JSON.stringify(got)}. Resume with the options and data the run began with, or choose another --out.`,
        { file },
      );
  };
  differ('model', asked.family.modelType, found.family.modelType);
  const stored = new Map(Object.entries(found.config));
  for (const [name, value] of Object.entries(asked.config)) differ(name, value, stored.get(name));
}

/**
 * Makes the folder and that of its checkpoints, and removes an earlier run where that was asked for.
 * @throws EnvironmentError when they cannot be written
 */
export async function openOutput(out: string, { overwrite }: OutputFlags): Promise<Directory> {
  await makeFolder(out);
  await makeFolder(`${out}/${CHECKPOINTS}`);
  const directory = await openDirectory(out);
  if (overwrite) for (const path of [CHECKPOINTS, ...WRITTEN_FILES]) await directory.remove(path);
  return directory;
}
