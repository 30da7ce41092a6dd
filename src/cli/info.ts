/** `lanewise info`: what a model folder holds. Nothing is loaded but the headers of its files. */
import type { Command } from 'commander';
import { type Directory, openDirectory } from '../files/index.ts';
import { checkTensors, openWeights, type ParsedConfig, parseConfig } from '../formats/index.ts';
import { loadTokenizer } from '../generation/index.ts';
import { type GPT, tensorsInFile } from '../models/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { completeCheckpoints } from '../training/checkpoint.ts';
import { blueprintOf, CHECKPOINTS } from './model-folder.ts';
import { addJsonOption } from './options.ts';
import { bytes, count, print, printJson } from './output.ts';

export function addInfo(program: Command): void {
  const command = program
    .command('info')
    .description('configuration, parameters, sizes, tokenizer and checkpoints of a model folder')
    .argument('<dir>', 'model folder; that of a run that has not finished shows its newest checkpoint');
  addJsonOption(command, 'family, config, parameters, weightBytes, dtypes, tokenizer, checkpoints');
  command.addHelpText('after', '\nExample:\n  lanewise info model').action(info);
}

async function info(dir: string, { json }: { json?: boolean }): Promise<void> {
  const directory = await openDirectory(dir);
  const checkpoints = await completeCheckpoints(await directory.subdirectory(CHECKPOINTS));
  const newest = checkpoints[0];
  const unfinished = newest !== undefined && !(await directory.has('config.json'));
  const folder = unfinished ? newest.folder : directory;
  const parsed = parseConfig(await folder.readText('config.json'), `${folder.name}/config.json`);
  const model = blueprintOf(parsed);
  const weights = await weightsOf(folder, model);
  const tokenizer = await tokenizerOf(folder, parsed);
  const steps = checkpoints.map(({ step }) => step);
  if (json) {
    printJson({
      dir,
      family: parsed.family,
      config: parsed.config,
      parameters: model.parameters.count,
      weightBytes: weights.bytes,
      dtypes: weights.dtypes,
      tokenizer: tokenizer ? { type: typeOf(tokenizer), vocabSize: tokenizer.vocabSize } : null,
      checkpoints: steps,
    });
    return;
  }
  if (unfinished) print(`${dir} holds a run that has not finished; its newest checkpoint:`);
  print(model.summary());
  print(`Weights: ${weights.dtypes.join(', ')}, ${bytes(weights.bytes)}`);
  print(
    tokenizer
      ? `Tokenizer: ${typeOf(tokenizer)}, ${count(tokenizer.vocabSize)} tokens`
      : 'Tokenizer: none in the folder',
  );
  const { embdDropout, attnDropout, residDropout, activation, layerNormEpsilon } = parsed.config;
  print(`Activation: ${activation}; layer norm ε ${layerNormEpsilon}`);
  print(`Dropout: embeddings ${embdDropout}, attention ${attnDropout}, residual ${residDropout}`);
  if (steps.length > 0) print(`Checkpoints: steps ${steps.join(', ')}`);
}

/** Element types and size of the weights, whose names and shapes are checked. */
async function weightsOf(folder: Directory, model: GPT): Promise<{ dtypes: string[]; bytes: number }> {
  const weights = await openWeights(folder);
  try {
    const { found } = checkTensors(weights, tensorsInFile(model.parameters));
    const dtypes = new Set(Array.from(found.values(), (name) => weights.info(name).dtype));
    return { dtypes: [...dtypes], bytes: weights.totalBytes };
  } finally {
    await weights.close();
  }
}

/** The folder's tokenizer; undefined where it has no file of one. A damaged one is an error. */
async function tokenizerOf(folder: Directory, { family }: ParsedConfig): Promise<Tokenizer | undefined> {
  const files = ['tokenizer.json', 'vocab.json'];
  const present = await Promise.all(files.map((file) => folder.has(file)));
  return present.includes(true) ? loadTokenizer(folder, family) : undefined;
}

/** In words: byte-level BPE, BPE with </w>, characters. */
function typeOf(tokenizer: Tokenizer): string {
  const { model, pre_tokenizer } = tokenizer.toJSON();
  const splitter = (pre_tokenizer as { type?: string } | null | undefined)?.type;
  if (splitter === 'ByteLevel') return model.merges.length > 0 ? 'byte-level BPE' : 'bytes';
  return splitter === undefined ? 'characters' : 'BPE of lower-case words';
}
