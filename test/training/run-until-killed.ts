/**
 * A program of its own for kill.test.ts: trains in the folder argv[3] for argv[4] steps, resuming what is there, saving
 * behind every step. Prints each step it has done, and the digest of the weights at the end.
 */
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { digestOf, dropout, killOptions, smallData, smallModel } from './small.ts';

const [directory, steps] = [process.argv[3]!, Number(process.argv[4])];
const model = await smallModel(dropout(0.1));
const trainer = new Trainer(causalLanguageModel(model), smallData(), {
  ...killOptions,
  steps,
  saveEvery: 1,
  directory,
});
await trainer.resume();
for await (const { step } of trainer.run()) process.stdout.write(`step ${step}\n`);
process.stdout.write(`${await digestOf(model)}\n`);
model.dispose();
