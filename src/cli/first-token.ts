/** `lanewise first-token`: what `bench` runs in a new process to measure a start. It loads no more than a program needs. */
import type { Command } from 'commander';
import { firstToken } from '../models/first-token.ts';
import { addDtypeOption, addEngineOptions, engineOptions, type LoadFlags } from './options.ts';
import { print } from './output.ts';

export function addFirstToken(program: Command): void {
  const command = program
    .command('first-token', { hidden: true })
    .description('load a model, read a short prompt, print the id of the likeliest token behind it')
    .argument('<dir>', 'model folder');
  addDtypeOption(addEngineOptions(command)).action(async (dir: string, flags: Omit<LoadFlags, 'adapter'>) => {
    print(String(await firstToken(dir, { ...engineOptions(flags), dtype: flags.dtype })));
  });
}
