/** What asconfig.json says of the binary at hand (`use`). */

/**
 * Whether it has all kernels. If not, it has those that take text to text, with one thread: no operation from FIRST_FULL_OP on, no
 * gradients, nothing random.
 */
// @ts-ignore: a constant that asc gets from asconfig.json
export const IS_FULL: bool = FULL != 0;
