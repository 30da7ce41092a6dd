// The example's handler on Deno: deno run --allow-read --allow-net --allow-env --allow-sys examples/edge-worker/deno.ts [model folder] [port]
import { completions } from './completions.js';

const [folder = 'out/edge-model', port = '8787'] = Deno.args;
const handle = completions(async () => folder);
const onListen = ({ port }: { port: number }) => console.log(`http://127.0.0.1:${port}/v1/completions`);
Deno.serve({ port: Number(port), hostname: '127.0.0.1', onListen }, (request: Request) => handle(request));
