/** The suite on a page: `runSuite(threads)`, and the package for what else is tried there. */
// @ts-nocheck: it imports what the build makes, whose types are those of src/ once more
import * as lanewise from '../../dist/index.js';
import { run } from './suite.js';

Object.assign(globalThis, { lanewise, runSuite: (/** @type {number} */ threads) => run(lanewise, threads) });
