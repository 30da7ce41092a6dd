/** `lanewise quantize`: a model folder with smaller weights. */
import { type Command, Option } from 'commander';
import { DTYPES, type Dtype, loadCausalLM } from '../models/index.ts';
import { copyTokenizer, openDerived, weightBytesOf } from './derived-folder.ts';
import { makeFolder } from './folders.ts';
import { addJsonOption, wholeNumber } from './options.ts';
import { bytes, print, printJson } from './output.ts';

interface QuantizeFlags {
  readonly to: Dtype;
  readonly out: string;
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly json?: boolean;
}

export function addQuantize(program: Command): void {
  const command = program
    .command('quantize')
    .description('write a model with smaller weights, which every command reads')
    .argument('<dir>', 'model folder with weights in F32, F16 or BF16')
    .addOption(
      new Option('--to <dtype>', 'q8: 8.5 bits for each weight; q4: 4.5 bits; f16, bf16: 16 bits')
        .choices(DTYPES.filter((dtype) => dtype !== 'f32'))
        .makeOptionMandatory(),
    )
    .requiredOption('--out <dir>', 'folder to write')
    .option('--overwrite', 'replace a model that is there')
    .option('--threads <n>', 'threads (default: the machine’s, at most 16)', wholeNumber(1, 256));
  addJsonOption(command, 'out, dtype, parameters, weightBytes, memoryBytes, seconds');
  command
    .addHelpText(
      'after',
      '\nExample:\n  lanewise quantize model --to q8 --out model-q8\n  lanewise generate model-q8 --prompt "Call me"',
    )
    .action(quantize);
}

async function quantize(dir: string, { to, out, overwrite, threads, json }: QuantizeFlags): Promise<void> {
  const { source, target } = await openDerived(dir, { out, ...(overwrite && { overwrite }) });
  const start = performance.now();
  const model = await loadCausalLM(source, { dtype: to, ...(threads !== undefined && { threads }) });
  try {
    await makeFolder(out);
    await model.save(target);
    await copyTokenizer(source, target);
    const weightBytes = await weightBytesOf(target);
    const before = await weightBytesOf(source);
    const { count: parameters, blockSize } = model.parameters;
    const seconds = (performance.now() - start) / 1000;
    if (json) printJson({ out, dtype: to, parameters, weightBytes, memoryBytes: blockSize * 4, seconds });
    else print(`${to}: ${bytes(weightBytes)} of weights, where ${dir} has ${bytes(before)}\nsaved in ${out}`);
  } finally {
    model.dispose();
  }
}
