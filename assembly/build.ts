/** The constants that asconfig.json sets for the binary that is compiled (`use`). */

/**
 * Whether it has all kernels. If not, it has those that take text to text, with one thread: the operations of
 * src/abi/inference-operations.ts, no gradients, nothing random.
 */
// @ts-ignore: a constant that asc gets from asconfig.json
export const IS_FULL: bool = FULL != 0;
