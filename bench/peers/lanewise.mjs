// The build of lanewise that is measured: the folder of LANEWISE_BUILD (with dist/ and wasm/), else that of this checkout.
// run.mjs copies the build before it starts, so that all samples of a run are of one build.
import { pathToFileURL } from 'node:url';

const { LANEWISE_BUILD } = process.env;
const root = LANEWISE_BUILD ? pathToFileURL(`${LANEWISE_BUILD}/`) : new URL('../../', import.meta.url);

/** Imports a module of dist/. */
export const lanewise = (module = 'index.js') => import(new URL(`dist/${module}`, root).href);

/** Whether this build knows weights of a type: q8, q4, f16. */
export async function hasDtype(dtype) {
  const { DTYPES = ['f32'] } = await lanewise('models/load.js');
  return DTYPES.includes(dtype);
}

/** What is measured, in words. */
export function describe({ binary, runtime }, dtype = 'f32') {
  return `lanewise ${dtype === 'f32' ? '' : `${dtype} `}${binary}, ${runtime}`;
}
