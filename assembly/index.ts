/** What a binary exports. */
export { run, runOne } from './plan';
export { dispatch, work } from './threads';
