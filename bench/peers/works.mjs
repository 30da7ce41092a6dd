// What is measured: each work is a list of comparisons, lanewise first.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inferenceModel } from './models.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const large = { nLayer: 12, nHead: 12, nEmbd: 768, vocabSize: 50257 };
const small = { nLayer: 6, nHead: 6, nEmbd: 384, vocabSize: 65, blockSize: 256 };
/** Of both with a context of 256. */
const LARGE_PARAMETERS = 123_849_984;
const SMALL_PARAMETERS = 10_770_816;

/** A prompt that leaves room for WARM_STEPS and some tokens in GPT-2's context. */
const LONG = 1000;

/** Weights that one token reads: those of the blocks, and the token table as the output layer. */
const BLOCK_WEIGHTS = 12 * 768 * (3 + 1 + 4 + 4) * 768;
const HEAD_WEIGHTS = 50257 * 768;
const weightBytes = (bits, headBits = bits) => (BLOCK_WEIGHTS * bits + HEAD_WEIGHTS * headBits) / 8;
/** Bits of a weight, scales included. lanewise: blocks of 64 (q8, with a sum) and 32 (q4). */
const BITS = { f32: 32, f16: 16, q8: 8.5, q4: 4.5, q8_0: 8.5, q4_0: 4.5 };
/** Keys and values behind `positions` tokens: bf16 with q8 weights. */
const cacheBytes = (positions, dtype) => 2 * 12 * 768 * positions * (dtype === 'f32' ? 4 : 2);
/** onnxruntime: int8 keeps the output layer in f32; blocks of 32 have a scale of 32 bits. */
const ORT_BYTES = {
  f32: weightBytes(32),
  int8: weightBytes(8, 32),
  'int8-all': weightBytes(8),
  q8: weightBytes(9),
  q4: weightBytes(5),
};

/**
 * @param options node, oldNode, python, chromium; `ownOnly` leaves out what others do, and the files that they need
 * @param env environment of the peers
 * @returns for each work a function that gives its comparisons, having made the files that they need
 */
export function worksOf(options, env) {
  const { node, oldNode, python, chromium, ownOnly = false } = options;
  const peer = (role, file, task, more = {}) => ({
    role,
    command: [more.node ?? (file.endsWith('.py') ? python : node), here(file)],
    task: { threads: 1, ...task },
    ...more,
  });
  const own = (role, file, task, more) => peer(role, file, task, { ours: true, ...more });
  /** @param parameters that count in 6 · parameters · tokens, the arithmetic of a step: all of them, as is usual */
  const training = (title, task, parameters, ...peers) => ({
    title,
    unit: 'tokens/s',
    units: task.batchSize * task.blockSize,
    contestants: [
      own('lanewise', 'lanewise-train.mjs', task),
      ...(ownOnly ? [] : peers).map(([role, file, more]) => peer(role, file, { ...task, ...more })),
      peer('limit', 'fma-limit.mjs', {}, { reference: 'GFLOP/s' }),
    ].map((contestant) => (contestant.reference ? contestant : { ...contestant, amount: 6 * parameters })),
  });
  const pytorch = ['PyTorch', 'pytorch_train.py'];

  const prefillTask = { ...large, mode: 'prefill', prompt: 512 };
  const decodeTask = { ...large, mode: 'decode', prompt: 64, tokens: 16 };
  const files = () => inferenceModel(options, env);
  const decoding = (task) => task.mode === 'decode';
  /** lanewise in the binaries that there are: relaxed, simd128, and simd128 of a Node that has no other. */
  const lanewises = (task, dtype, { all = false } = {}) => {
    const { folder } = files();
    const more = decoding(task) ? { amount: weightBytes(BITS[dtype]) } : {};
    const each = { ...task, folder, dtype };
    const file = 'lanewise-inference.mjs';
    return [
      own('fast', file, each, more),
      ...(all ? [own('exact', file, { ...each, precision: 'exact' }, more)] : []),
      ...(all && oldNode ? [own('old Node', file, each, { ...more, node: oldNode })] : []),
    ];
  };
  const ort = (task, form, more = {}) =>
    !ownOnly &&
    peer(
      `onnxruntime-web ${form}`,
      'ort-web.mjs',
      { ...task, folder: files().folder, form, model: files().onnx(form) },
      {
        ...(decoding(task) && { amount: ORT_BYTES[form] }),
        ...more,
      },
    );
  const llama = (role, file, task, type) =>
    !ownOnly &&
    peer(
      `${role} ${type}`,
      file,
      { ...task, folder: files().folder, type, chromium, model: files().gguf(type) },
      {
        ...(decoding(task) && { amount: weightBytes(BITS[type]) }),
      },
    );
  const wllama = (task, type) => llama('wllama', 'wllama.mjs', task, type);
  const native = (task, type) => llama('native llama.cpp', 'llama-cpp.mjs', task, type);
  const read = () => peer('memory', 'memory-read.mjs', {}, { reference: 'GB/s' });
  const inference = (title, task, contestants) => ({
    title,
    unit: 'tokens/s',
    units: 1,
    contestants: [...contestants.filter(Boolean), ...(decoding(task) ? [read()] : [])],
  });

  /** Beside one thread, and beside two processes of one thread each, which share nothing but the machine. */
  const both = (title, unit, units, file, task) => ({
    title,
    unit,
    units,
    contestants: [
      own('two threads', file, { ...task, threads: 2 }),
      peer('one thread', file, task),
      peer('two processes', file, task, { copies: 2 }),
    ],
  });
  /** Eight sequences together, beside one of ours alone. The weights are read once for all eight, so nothing is said of bandwidth. */
  const together = (dtype, threads, ...peers) => {
    const alone = { ...decodeTask, threads };
    const task = { ...alone, sequences: 8 };
    const contestants = [
      ...lanewises(task, dtype),
      ...lanewises(alone, dtype).map((one) => ({ ...one, ours: false, role: 'one sequence' })),
      ...peers.map((make) => make(task)).filter(Boolean),
    ];
    return {
      title: `decode 8 sequences together, 124M ${dtype}${threads > 1 ? `, ${threads} threads` : ''}`,
      unit: 'tokens/s',
      units: 1,
      contestants: contestants.map((contestant) => ({ ...contestant, amount: undefined })),
    };
  };

  return {
    'train-124m-b1': () => [
      training('training 124M, T=256, B=1', { ...large, blockSize: 256, batchSize: 1 }, LARGE_PARAMETERS, pytorch),
    ],
    'train-124m-b4': () => [
      training(
        'training 124M, T=256, B=4',
        { ...large, blockSize: 256, batchSize: 4, warmup: 1 },
        LARGE_PARAMETERS,
        pytorch,
      ),
    ],
    'train-6l': () => [
      training('training 6 layers, 384 wide, T=256, B=12', { ...small, batchSize: 12 }, SMALL_PARAMETERS, pytorch),
    ],
    'train-6l-tfjs': () => [
      training(
        'training 6 layers, 384 wide, T=256, B=1',
        { ...small, batchSize: 1, warmup: 1 },
        SMALL_PARAMETERS,
        ['tfjs-wasm', 'tfjs-train.mjs', { backend: 'wasm' }],
        ['tfjs-cpu', 'tfjs-train.mjs', { backend: 'cpu' }],
        ['nanogpt', 'nanogpt-train.mjs'],
      ),
    ],
    prefill: () => [
      inference('prefill 512, 124M f32', prefillTask, [
        ...lanewises(prefillTask, 'f32'),
        ort(prefillTask, 'f32'),
        wllama(prefillTask, 'f32'),
        native(prefillTask, 'f32'),
      ]),
    ],
    'prefill-q8': () => [
      inference('prefill 512, 124M q8', prefillTask, [
        ...lanewises(prefillTask, 'q8', { all: true }),
        ort(prefillTask, 'int8'),
        ...(oldNode ? [ort(prefillTask, 'int8', { node: oldNode })] : []),
        wllama(prefillTask, 'q8_0'),
        native(prefillTask, 'q8_0'),
      ]),
    ],
    'prefill-q4': () => [
      inference('prefill 512, 124M q4', prefillTask, [
        ...lanewises(prefillTask, 'q4', { all: true }),
        ort(prefillTask, 'q4'),
        wllama(prefillTask, 'q4_0'),
        native(prefillTask, 'q4_0'),
      ]),
    ],
    decode: () => [
      inference('decode behind 64, 124M f32', decodeTask, [
        ...lanewises(decodeTask, 'f32'),
        ort(decodeTask, 'f32'),
        wllama(decodeTask, 'f32'),
        native(decodeTask, 'f32'),
      ]),
    ],
    'decode-f16': () => [
      inference('decode behind 64, 124M f16', decodeTask, [
        ...lanewises(decodeTask, 'f16', { all: true }),
        wllama(decodeTask, 'f16'),
        native(decodeTask, 'f16'),
      ]),
    ],
    'decode-q8': () => [
      inference('decode behind 64, 124M q8', decodeTask, [
        ...lanewises(decodeTask, 'q8', { all: true }),
        ort(decodeTask, 'f32'),
        ort(decodeTask, 'int8'),
        ort(decodeTask, 'int8-all'),
        wllama(decodeTask, 'q8_0'),
        native(decodeTask, 'q8_0'),
      ]),
    ],
    'decode-q4': () => [
      inference('decode behind 64, 124M q4', decodeTask, [
        ...lanewises(decodeTask, 'q4', { all: true }),
        ort({ ...decodeTask, tokens: 4 }, 'q4'), // a third of a second each
        wllama(decodeTask, 'q4_0'),
        native(decodeTask, 'q4_0'),
      ]),
    ],
    'decode-batch': () => [
      together(
        'f32',
        1,
        (task) => ort(task, 'f32'),
        (task) => native(task, 'f32'),
      ),
      together(
        'q8',
        1,
        (task) => ort(task, 'int8'),
        (task) => native(task, 'q8_0'),
      ),
      together('q8', 2),
    ],
    gemm: () =>
      [
        ['qkv', 512, 2304, 768],
        ['attnProj', 512, 768, 768],
        ['mlpUp', 512, 3072, 768],
        ['mlpDown', 512, 768, 3072],
        ['logits', 64, 50257, 768],
      ].map(([name, m, n, k]) => ({
        title: `product f32, ${name} ${m} × ${n} × ${k}`,
        unit: 'GFLOP/s',
        units: (2 * m * n * k) / 1e9,
        contestants: [
          own('panels', 'lanewise-gemm.mjs', { m, n, k, encoding: 'packed' }),
          own('file order', 'lanewise-gemm.mjs', { m, n, k, encoding: 'f32' }),
          peer('onnxruntime-web', 'ort-gemm.mjs', { m, n, k }),
          peer('tfjs-wasm', 'tfjs-gemm.mjs', { m, n, k }),
        ],
      })),
    tokenizers: () => {
      const shared = here('../../../shared/data/text/tinyshakespeare.txt');
      if (!existsSync(shared)) throw new Error(`tokenizers: expected ${shared}.`);
      const task = { folder: files().folder, text: shared };
      return [
        {
          title: "GPT-2's tokenizer, tinyshakespeare",
          unit: 'MB/s',
          units: 1.115394,
          contestants: [
            own('lanewise', 'tokenizers.mjs', { ...task, engine: 'lanewise' }),
            own('empty cache', 'tokenizers.mjs', { ...task, engine: 'lanewise', fresh: true }),
            ...['gpt-tokenizer', 'tokenizers', '@huggingface/tokenizers'].map((engine) =>
              peer(engine, 'tokenizers.mjs', { ...task, engine }),
            ),
          ],
        },
      ];
    },
    threads: () => [
      both('training 6 layers, B=12', 'tokens/s', 3072, 'lanewise-train.mjs', { ...small, batchSize: 12 }),
      both('training 124M, B=1', 'tokens/s', 256, 'lanewise-train.mjs', { ...large, blockSize: 256, batchSize: 1 }),
      ...['f32', 'q8'].map((dtype) =>
        both(`prefill 512, 124M ${dtype}`, 'tokens/s', 1, 'lanewise-inference.mjs', {
          ...prefillTask,
          folder: files().folder,
          dtype,
        }),
      ),
      // Two processes would not decode at the same time, but one while the other still reads its prompt.
      ...['f32', 'q8'].flatMap((dtype) =>
        [64, LONG].map((prompt) => {
          const task = { ...decodeTask, prompt, folder: files().folder, dtype };
          const more = { amount: weightBytes(BITS[dtype]) + cacheBytes(prompt, dtype) };
          return {
            title: `decode behind ${prompt}, 124M ${dtype}`,
            unit: 'tokens/s',
            units: 1,
            contestants: [
              own('two threads', 'lanewise-inference.mjs', { ...task, threads: 2 }, more),
              peer('one thread', 'lanewise-inference.mjs', task, more),
              peer('memory', 'memory-read.mjs', {}, { reference: 'GB/s', copies: 2 }),
            ],
          };
        }),
      ),
    ],
  };
}
