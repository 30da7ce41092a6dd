/** `lanewise merge`: a model folder from a model and adapters. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../errors.ts';
import { LoraModel, loadCausalLM, readConfig } from '../models/index.ts';
import { copyTokenizer, openDerived, weightBytesOf } from './derived-folder.ts';
import { makeFolder } from './folders.ts';
import { addJsonOption, wholeNumber } from './options.ts';
import { bytes, print, printJson } from './output.ts';

/** What weights can become that have room for small changes. */
const DTYPES = ['f32', 'f16', 'bf16'] as const;

interface MergeFlags {
  readonly adapter: string;
  readonly out: string;
  readonly dtype: (typeof DTYPES)[number];
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly json?: boolean;
}

export function addMerge(program: Command): void {
  const command = program
    .command('merge')
    .description('add LoRA adapters to the weights of their model; transformers loads the result')
    .argument('<dir>', 'model folder with weights in F32, F16 or BF16')
    .requiredOption('--adapter <dir>', 'folder of adapters, from `train --lora` or from PEFT')
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(new Option('--dtype <type>', 'weights to write').choices(DTYPES).default('f32'))
    .option('--overwrite', 'replace a model that is there')
    .option('--threads <n>', 'threads, at most 256 (default: the machine’s, at most 16)', wholeNumber(1, 256));
  addJsonOption(command, 'out, dtype, parameters, adapted, weightBytes, seconds');
  command
    .addHelpText(
      'after',
      '\nExample:\n  lanewise merge model --adapter adapter --out merged\n  lanewise generate merged --prompt "Call me"',
    )
    .action(merge);
}

async function merge(dir: string, { adapter, out, dtype, overwrite, threads, json }: MergeFlags): Promise<void> {
  const { source, target } = await openDerived(dir, { out, ...(overwrite && { overwrite }) });
  const { quantization } = await readConfig(source);
  if (quantization)
    throw new ConfigError(
      `${dir}: expected weights in F32, F16 or BF16 to merge into, got ${quantization}. Merge into the model that it was quantized from, and quantize the result.`,
    );
  const start = performance.now();
  const model = await loadCausalLM(source, { dtype, adapter, ...(threads !== undefined && { threads }) });
  try {
    if (!(model instanceof LoraModel)) throw new Error('merge: a model that was loaded with an adapter has none');
    const { count: adapted } = model.parameters;
    const merged = await model.merge();
    await makeFolder(out);
    await merged.save(target);
    await copyTokenizer(source, target);
    const weightBytes = await weightBytesOf(target);
    const { count: parameters } = merged.parameters;
    const seconds = (performance.now() - start) / 1000;
    if (json) printJson({ out, dtype, parameters, adapted, weightBytes, seconds });
    else print(`${adapter} merged into ${dir}: ${bytes(weightBytes)} of weights in ${dtype}\nsaved in ${out}`);
  } finally {
    model.engine.dispose();
  }
}
