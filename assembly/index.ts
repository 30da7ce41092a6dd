/** What a binary exports. */
export { run, runOne } from './interpreter/plan';
export { dispatch, fail, sleepWhile, work } from './interpreter/threads';
