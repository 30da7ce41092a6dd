// lanewise beside other engines: the same work, in one run, on the same core, sample by sample in turn.
// usage: node bench/peers/run.mjs [WORK…] [--rounds 5] [--node PATH] [--python PATH] [--write]
// WORK: train-124m-b1 train-124m-b4 train-6l train-6l-tfjs prefill decode threads (all when none is named).
// --node: the Node that runs lanewise and the JavaScript peers (22 or later has relaxed SIMD). --write: bench/RESULTS.md.
// Peers are installed by `npm install` in this folder; PyTorch by `pip install torch transformers onnx safetensors`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    node: { type: 'string', default: process.execPath },
    python: { type: 'string', default: 'python3' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);

/** Starts a peer; `sample()` asks for one more figure. Pinned to as many cores as it has threads. */
async function start([command, ...args], task) {
  const list = Array.from({ length: task.threads }, (_, core) => core).join(',');
  const child = spawn('taskset', ['-c', list, command, ...args, JSON.stringify(task)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ${args.join(' ')} ended early`);
    return JSON.parse(value);
  };
  const { ready } = await next();
  return {
    name: ready,
    stop: () => child.kill(),
    sample() {
      child.stdin.write('\n');
      return next();
    },
  };
}

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Takes `rounds` samples of each, in turn; `units` is how many tokens one `seconds` stands for. */
async function pair(title, units, contestants) {
  const running = [];
  for (const { role, command, task } of contestants)
    running.push({ role, ...(await start(command, task)), samples: [], checks: [] });
  for (let round = 0; round < rounds; round++) {
    for (const peer of running) {
      const { seconds, loss, check } = await peer.sample();
      peer.samples.push(units / seconds);
      peer.checks.push(loss ?? check);
    }
  }
  for (const peer of running) peer.stop();
  const [ours, ...others] = running;
  const rows = running.map(({ role, name, samples, checks }) => ({
    title,
    role,
    name,
    median: median(samples),
    least: Math.min(...samples),
    most: Math.max(...samples),
    check: checks[0],
    ratio: role === ours.role ? undefined : median(ours.samples.map((value, round) => value / samples[round])),
  }));
  for (const row of rows) {
    const ratio = row.ratio === undefined ? '' : `   ours is ${row.ratio.toFixed(3)}×`;
    console.log(
      `${title}  ${row.name}: ${row.median.toFixed(1)} tokens/s (${row.least.toFixed(1)} … ${row.most.toFixed(1)}), check ${row.check}${ratio}`,
    );
  }
  if (others.length > 0) console.log('');
  return rows;
}

const large = { nLayer: 12, nHead: 12, nEmbd: 768, vocabSize: 50257 };
const small = { nLayer: 6, nHead: 6, nEmbd: 384, vocabSize: 65, blockSize: 256 };
const train = (role, file, task) => ({
  role,
  command: file.endsWith('.py') ? [options.python, here(file)] : [options.node, here(file)],
  task,
});

/** A GPT-2 124M of random weights as a folder, and as an ONNX graph. */
function inferenceModel() {
  const folder = `${tmpdir()}/lanewise-bench-gpt2-124m`;
  mkdirSync(folder, { recursive: true });
  const run = (command, args) => {
    const { status } = spawnSync(command, args, { stdio: 'inherit' });
    if (status !== 0) throw new Error(`${command} ${args[0]} failed`);
  };
  if (!existsSync(`${folder}/model.safetensors`)) run(options.node, [here('make-model.mjs'), folder]);
  if (!existsSync(`${folder}/gpt2.onnx`)) run(options.python, [here('make_onnx.py'), folder, `${folder}/gpt2.onnx`]);
  return { folder, model: `${folder}/gpt2.onnx` };
}

const works = {
  async 'train-124m-b1'() {
    const task = { ...large, blockSize: 256, batchSize: 1, threads: 1 };
    return pair('training 124M, T=256, B=1', 256, [
      train('lanewise', 'lanewise-train.mjs', task),
      train('pytorch', 'pytorch_train.py', task),
    ]);
  },
  async 'train-124m-b4'() {
    const task = { ...large, blockSize: 256, batchSize: 4, threads: 1, warmup: 1 };
    return pair('training 124M, T=256, B=4', 1024, [
      train('lanewise', 'lanewise-train.mjs', task),
      train('pytorch', 'pytorch_train.py', task),
    ]);
  },
  async 'train-6l'() {
    const task = { ...small, batchSize: 12, threads: 1 };
    return pair('training 6 layers, 384 wide, T=256, B=12', 3072, [
      train('lanewise', 'lanewise-train.mjs', task),
      train('pytorch', 'pytorch_train.py', task),
    ]);
  },
  async 'train-6l-tfjs'() {
    const task = { ...small, batchSize: 1, threads: 1, warmup: 1 };
    return pair('training 6 layers, 384 wide, T=256, B=1', 256, [
      train('lanewise', 'lanewise-train.mjs', task),
      train('tfjs-wasm', 'tfjs-train.mjs', { ...task, backend: 'wasm' }),
      train('tfjs-cpu', 'tfjs-train.mjs', { ...task, backend: 'cpu' }),
    ]);
  },
  async prefill() {
    const task = { ...large, ...inferenceModel(), mode: 'prefill', prompt: 512, threads: 1 };
    return pair('prefill 512, 124M f32', 1, [
      train('lanewise', 'lanewise-inference.mjs', task),
      train('ort-web', 'ort-web.mjs', task),
    ]);
  },
  async decode() {
    const task = { ...large, ...inferenceModel(), mode: 'decode', prompt: 64, tokens: 16, threads: 1 };
    return pair('decode behind 64, 124M f32', 1, [
      train('lanewise', 'lanewise-inference.mjs', task),
      train('ort-web', 'ort-web.mjs', task),
    ]);
  },
  async threads() {
    const both = (title, units, file, task) =>
      pair(title, units, [
        train('two threads', file, { ...task, threads: 2 }),
        train('one thread', file, { ...task, threads: 1 }),
      ]);
    const { folder } = inferenceModel();
    return [
      ...(await both('training 6 layers, B=12', 3072, 'lanewise-train.mjs', { ...small, batchSize: 12 })),
      ...(await both('training 124M, B=1', 256, 'lanewise-train.mjs', { ...large, blockSize: 256, batchSize: 1 })),
      ...(await both('prefill 512, 124M', 1, 'lanewise-inference.mjs', {
        ...large,
        folder,
        mode: 'prefill',
        prompt: 512,
      })),
    ];
  },
};

const chosen = positionals.length > 0 ? positionals : Object.keys(works);
const results = [];
for (const name of chosen) {
  if (!works[name]) {
    console.error(`peers: expected one of ${Object.keys(works).join(', ')}, got ${name}.`);
    process.exit(2);
  }
  results.push(...(await works[name]()));
}

if (options.write) {
  const rows = results.map(
    ({ title, name, median, least, most, ratio }) =>
      `| ${title} | ${name} | ${median.toFixed(1)} | ${least.toFixed(1)} … ${most.toFixed(1)} | ${ratio === undefined ? '' : `${ratio.toFixed(2)}×`} |`,
  );
  const head = [
    '# Results',
    '',
    `Written by \`node bench/peers/run.mjs ${chosen.join(' ')} --write\`; ${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model}, one core`,
    `unless the row says otherwise. Tokens per second, median and range of ${rounds} samples taken in turn. The ratio is the`,
    'median of ours ÷ theirs, sample by sample.',
    '',
    '| work | engine | tokens/s | range | ours ÷ theirs |',
    '|---|---|---|---|---|',
  ];
  const file = here('../RESULTS.md');
  const rest = existsSync(file) ? (readFileSync(file, 'utf8').match(/\n## [\s\S]*$/)?.[0] ?? '') : '';
  writeFileSync(file, `${[...head, ...rows].join('\n')}\n${rest}`);
}
