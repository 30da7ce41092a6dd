/** `lanewise info`: what a folder of a model or of adapters holds. Nothing is loaded but the headers of its files. */
import type { Command } from 'commander';
import { type Directory, openDirectory } from '../files/index.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  elementCount,
  layerOfLoraTensor,
  openSafetensors,
  openWeights,
  parseLoraConfig,
  tensorBytes,
} from '../formats/index.ts';
import { loadTokenizer } from '../generation/index.ts';
import { type Model, matchTensors, readConfig, tensorsInFile } from '../models/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { completeCheckpoints } from '../training/checkpoint.ts';
import { bytesOf } from './derived-folder.ts';
import { blueprintOf, CHECKPOINTS } from './model-folder.ts';
import { addJsonOption } from './options.ts';
import { bytes, count, print, printJson } from './output.ts';

export function addInfo(program: Command): void {
  const command = program
    .command('info')
    .description('configuration, parameters, sizes, tokenizer and checkpoints of a model folder')
    .argument(
      '<dir>',
      'folder of a model or of adapters; that of a run that has not finished shows its newest checkpoint',
    );
  addJsonOption(command, 'family, config, parameters, weightBytes, dtypes, tokenizer, checkpoints');
  command.addHelpText('after', '\nExample:\n  lanewise info model').action(info);
}

async function info(dir: string, { json }: { json?: boolean }): Promise<void> {
  const directory = await openDirectory(dir);
  const checkpoints = await completeCheckpoints(await directory.subdirectory(CHECKPOINTS));
  const newest = checkpoints[0];
  const kinds = await Promise.all(['config.json', ADAPTER_CONFIG].map((file) => directory.has(file)));
  const unfinished = newest !== undefined && !kinds.includes(true);
  const folder = unfinished ? newest.folder : directory;
  const about = unfinished ? [`${dir} holds a run that has not finished; its newest checkpoint:`] : [];
  const steps = checkpoints.map(({ step }) => step);
  if (!(await folder.has('config.json')) && (await folder.has(ADAPTER_CONFIG))) {
    const { text, ...fields } = await adapterInfo(folder);
    if (json) printJson({ dir, ...fields, checkpoints: steps });
    else print([...about, ...text, ...checkpointLine(steps)].join('\n'));
    return;
  }
  const parsed = await readConfig(folder);
  const model = blueprintOf(parsed);
  const weights = await weightsOf(folder, model);
  const tokenizer = await tokenizerOf(folder);
  if (json) {
    printJson({
      dir,
      family: parsed.family.modelType,
      config: parsed.config,
      parameters: model.parameters.count,
      weightBytes: weights.bytes,
      dtypes: weights.dtypes,
      tokenizer: tokenizerFields(tokenizer),
      checkpoints: steps,
    });
    return;
  }
  const text = [
    ...about,
    model.summary(),
    `Weights: ${weights.dtypes.join(', ')}, ${bytes(weights.bytes)}`,
    tokenizerLine(tokenizer),
    ...parsed.family.describe(parsed.config),
    ...checkpointLine(steps),
  ];
  print(text.join('\n'));
}

/** What a folder of adapters holds, as fields and as lines of text. */
async function adapterInfo(folder: Directory) {
  const { config } = parseLoraConfig(await folder.readText(ADAPTER_CONFIG), `${folder.name}/${ADAPTER_CONFIG}`);
  const weights = await openSafetensors(folder, ADAPTER_WEIGHTS);
  await weights.close();
  const tensors = weights.names.map((name) => ({ name, ...weights.info(name) }));
  const sum = (of: (tensor: (typeof tensors)[number]) => number | undefined) =>
    tensors.reduce((total, tensor) => total + (of(tensor) ?? 0), 0);
  const parameters = sum(({ shape }) => elementCount(shape));
  const weightBytes = sum(({ dtype, shape }) => tensorBytes(dtype, shape));
  const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))];
  const layers = new Set(weights.names.map((name) => layerOfLoraTensor(name) ?? name)).size;
  const tokenizer = await tokenizerOf(folder);
  const { rank, alpha, dropout, targetModules, useRslora, baseModel } = config;
  const kind = useRslora ? 'rank-stabilized LoRA' : 'LoRA';
  const text = [
    `Adapters: ${kind} of rank ${rank}, alpha ${alpha}, dropout ${dropout}, on ${targetModules.join(', ')}`,
    `Base model: ${baseModel ?? 'not said'}`,
    `Layers: ${layers} with ${count(parameters)} parameters`,
    `Weights: ${dtypes.join(', ')}, ${bytes(weightBytes)}`,
    tokenizerLine(tokenizer),
  ];
  return { adapter: config, parameters, weightBytes, dtypes, tokenizer: tokenizerFields(tokenizer), text };
}

function checkpointLine(steps: readonly number[]): string[] {
  return steps.length > 0 ? [`Checkpoints: steps ${steps.join(', ')}`] : [];
}

function tokenizerFields(tokenizer: Tokenizer | undefined) {
  return tokenizer ? { type: typeOf(tokenizer), vocabSize: tokenizer.vocabSize } : null;
}

function tokenizerLine(tokenizer: Tokenizer | undefined): string {
  if (!tokenizer) return 'Tokenizer: none in the folder';
  return `Tokenizer: ${typeOf(tokenizer)}, ${count(tokenizer.vocabSize)} tokens`;
}

/** Element types and size of the weights, whose names and shapes are checked. */
async function weightsOf(folder: Directory, model: Model): Promise<{ dtypes: string[]; bytes: number }> {
  const weights = await openWeights(folder);
  try {
    const { found } = matchTensors(weights, tensorsInFile(model.parameters), model.family.names);
    const dtypes = new Set(Array.from(found.values(), (name) => weights.info(name).dtype));
    return { dtypes: [...dtypes], bytes: bytesOf(weights) };
  } finally {
    await weights.close();
  }
}

/** The folder's tokenizer; undefined where it has no file of one. A damaged one is an error. */
async function tokenizerOf(folder: Directory): Promise<Tokenizer | undefined> {
  const files = ['tokenizer.json', 'vocab.json'];
  const present = await Promise.all(files.map((file) => folder.has(file)));
  return present.includes(true) ? loadTokenizer(folder) : undefined;
}

/** In words: byte-level BPE, BPE with </w>, characters. */
function typeOf(tokenizer: Tokenizer): string {
  const { model, pre_tokenizer } = tokenizer.toJSON();
  const splitter = (pre_tokenizer as { type?: string } | null | undefined)?.type;
  if (splitter === 'ByteLevel') return model.merges.length > 0 ? 'byte-level BPE' : 'bytes';
  return splitter === undefined ? 'characters' : 'BPE of lower-case words';
}
