/** What a binary exports. */
export { run, runOne } from './plan';
export { dispatch, fail, sleepWhile, work } from './threads';
