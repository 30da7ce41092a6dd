/** The suite on a runtime that has a command line: prints its result as JSON. The argument is the number of threads. */
// @ts-nocheck: it imports what the build makes, whose types are those of src/ once more
import * as lanewise from '../../dist/index.js';
import { run } from './suite.js';

const threads = Number(globalThis.process.argv[2]);
console.log(JSON.stringify(await run(lanewise, threads)));
