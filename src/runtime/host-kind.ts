/**
 * Which kind of host this is. Node, Deno and Bun have `process.versions.node`; browsers do not, and workerd imitates it when
 * asked to.
 */

/** What browsers and workerd call themselves; Node 21 and later do too. */
export const userAgent = typeof navigator === 'object' ? (navigator.userAgent ?? '') : '';
export const isWorkerd = userAgent === 'Cloudflare-Workers';
/** Node, Deno or Bun. */
export const isNodeLike = typeof process === 'object' && typeof process.versions?.node === 'string' && !isWorkerd;

/** Whether this is the main thread of a page, which may not wait and should not compute. */
export function isPage(): boolean {
  return !isNodeLike && typeof document !== 'undefined';
}
