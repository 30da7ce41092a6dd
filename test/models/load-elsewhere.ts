/**
 * A program of its own for dtype.test.ts: loads the folder argv[3] as argv[4] and prints by how many bytes the process grew
 * at most, and how many the model has. A first load, of the folder argv[5], brings in what every load needs.
 */
import type { Dtype } from '../../src/models/dtype.ts';
import { loadCausalLM } from '../../src/models/load.ts';

const [folder, dtype, warmUp] = process.argv.slice(3) as [string, Dtype, string];
const options = { threads: 2, dtype };

(await loadCausalLM(warmUp, options)).dispose();
(globalThis as { gc?: () => void }).gc!();
const before = process.memoryUsage.rss();
const model = await loadCausalLM(folder, options);
const peak = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ grown: peak - before, model: model.parameters.blockSize * 4 }));
model.dispose();
