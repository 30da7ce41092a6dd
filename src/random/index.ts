/** Random numbers and elementary functions that give the same bits on every engine. */
export { cosine, exp, integerPower, log } from './math.ts';
export { checkSeed, philox, Random } from './philox.ts';
