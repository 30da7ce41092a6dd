/** Random numbers and elementary functions that give the same bits on every engine. */
export { randomInteger } from './integer.ts';
export { log } from './log.ts';
export { cosine, exp, integerPower } from './math.ts';
export { checkSeed, philox, Random } from './philox.ts';
