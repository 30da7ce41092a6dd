/**
 * The program that `lanewise bench` starts to measure a start: it loads a model, reads a short prompt, prints the id of the likeliest
 * token behind it, and loads no more than that takes. Arguments: the folder, and options of loading as JSON.
 */
import { firstToken } from '../models/first-token.ts';

const [folder, options] = process.argv.slice(2);
process.stdout.write(`${await firstToken(folder!, JSON.parse(options!))}\n`);
