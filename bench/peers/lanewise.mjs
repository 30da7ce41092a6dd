// The build of lanewise that is measured: the folder of LANEWISE_BUILD (with dist/, wasm/ and src/), else that of this checkout.
// run.mjs copies the build before it starts, so that all samples of a run are of one build.
import { pathToFileURL } from 'node:url';

const { LANEWISE_BUILD } = process.env;
const root = LANEWISE_BUILD ? pathToFileURL(`${LANEWISE_BUILD}/`) : new URL('../../', import.meta.url);

/** The package's exports. */
export const lanewise = () => import(new URL('dist/index.js', root).href);

/** A module of src/, for what the package does not export; wants a Node that runs types, 22.18 or later. */
export const source = (module) => import(new URL(`src/${module}`, root).href);

/** What is measured, as text. */
export function describe({ binary, runtime }, dtype = 'f32') {
  return `lanewise ${dtype === 'f32' ? '' : `${dtype} `}${binary}, ${runtime}`;
}
