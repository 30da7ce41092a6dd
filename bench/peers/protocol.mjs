// How a peer talks to run.mjs: one line {"ready": name}, then one line of JSON for each line it reads.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * @param {string} ready what this peer is, with versions
 * @param {() => Promise<object>} sample takes one sample; `seconds` is the figure, the rest is for checking
 */
export async function serveSamples(ready, sample) {
  console.log(JSON.stringify({ ready }));
  for await (const _line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await sample()));
}

/** The version of a package that is installed in this folder. */
export function versionOf(name) {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}
