/**
 * The program that `lanewise bench` starts to measure a start: it loads a model, reads a short prompt, prints the id of the likeliest
 * token after it, and loads no more than that takes. Arguments: the folder, and options of loading as JSON.
 */
import { firstToken } from '../models/first-token.ts';

const [folder, options] = process.argv.slice(2);
try {
  process.stdout.write(`${await firstToken(folder!, JSON.parse(options!))}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`); // without a stack: bench shows it in a sentence of its own
  process.exitCode = 1;
}
