/**
 * What every platform must compute: a training run with dropout, its checkpoint, and logits and sampled tokens of what it
 * trained, in f32, q8 and q4. Plain JavaScript that needs nothing but the built package, so that it runs as it stands on
 * every runtime; scripts/test-platforms.mjs runs it there and compares the digests with hashes.json.
 */

/** @typedef {typeof import('../../src/index.ts')} Lanewise */
/** @typedef {import('../../src/index.ts').Directory} Directory */
/** @typedef {{ threads: number, precision: 'exact' | 'fast' }} Options */

const STEPS = 20;
const SHAPE = { nLayer: 2, nHead: 3, nEmbd: 96, blockSize: 48, vocabSize: 131, seed: 5 };
const DTYPES = /** @type {const} */ (['f32', 'q8', 'q4']);

/**
 * `count` ids, the same everywhere.
 * @param {number} count
 * @param {number} vocabSize
 */
function idsOf(count, vocabSize) {
  let state = 7;
  return Array.from({ length: count }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return i % 3 === 0 ? (state >>> 16) % vocabSize : (i * i + 11) % vocabSize; // noise, and something to learn
  });
}

/** @param {Uint8Array} bytes */
async function sha256(bytes) {
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * The digest of numbers, bit for bit.
 * @param {ArrayBufferView[]} arrays
 */
function digestOf(arrays) {
  const bytes = arrays.flatMap((values) => [...new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
  return sha256(Uint8Array.from(bytes));
}

/**
 * Trains, saves, and returns the checkpoint's folder and every number on the way.
 * @param {Lanewise} lanewise
 * @param {'gpt1' | 'gpt2'} type
 * @param {Options} engine
 */
async function train({ createModel, causalLanguageModel, Trainer, memoryDirectory, tokenDataset }, type, engine) {
  const model = await createModel(type, { ...SHAPE, ...engine });
  const directory = memoryDirectory();
  const data = tokenDataset(idsOf(4000, SHAPE.vocabSize), { evalFraction: 0.1 });
  const options = {
    batchSize: 4,
    steps: STEPS,
    learningRate: 3e-3,
    saveEvery: STEPS,
    accumulate: 2,
    seed: 3,
    directory,
  };
  const trainer = new Trainer(causalLanguageModel(model), data, options);
  const numbers = [];
  for await (const { loss, gradientNorm, learningRate, evaluation } of trainer.run())
    numbers.push(loss, gradientNorm, learningRate, evaluation?.loss ?? 0);
  const { info } = model.engine;
  model.dispose();
  const [name] = await directory.list();
  if (name === undefined) throw new Error('no checkpoint was saved');
  return { info, numbers, folder: await directory.subdirectory(name.replace(/\/$/, '')) };
}

/**
 * Logits of a sequence without and with a cache, and tokens drawn behind two prompts.
 * @param {Lanewise} lanewise
 * @param {Directory} folder
 * @param {Options & { dtype: 'f32' | 'q8' | 'q4' }} options
 */
async function infer({ forward, generateTokens, loadCausalLM, Session }, folder, options) {
  const model = await loadCausalLM(folder, options);
  const tokens = idsOf(41, SHAPE.vocabSize);
  const logits = [(await forward(model, tokens)).logits];
  const session = await Session.create(model, { capacity: tokens.length });
  logits.push(...(await session.append([{ tokens: tokens.slice(0, 37) }])));
  for (let at = 37; at < tokens.length; at++)
    logits.push(...(await session.append([{ tokens: tokens.slice(at, at + 1), position: at }])));
  session.dispose();
  const drawn = [];
  const sampling = { maxNewTokens: 60, temperature: 0.9, topK: 40, topP: 0.95, repetitionPenalty: 1.1, seed: 11 };
  for await (const { tokenId } of generateTokens(model, [tokens.slice(0, 9), tokens.slice(5, 25)], sampling))
    drawn.push(tokenId);
  model.dispose();
  return { logits, drawn };
}

/**
 * The largest difference, as a share of the largest magnitude.
 * @param {ArrayLike<number>[]} found
 * @param {ArrayLike<number>[]} exact
 */
function deviation(found, exact) {
  let [difference, largest] = [0, 0];
  exact.forEach((row, i) => {
    Array.from(row).forEach((value, j) => {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - Number(found[i]?.[j])));
    });
  });
  return difference / largest;
}

/**
 * @param {Lanewise} lanewise the package
 * @param {number} threads how many are asked for
 * @returns the engines that ran, digests of exact results, and how far results in `fast` are from them
 */
export async function run(lanewise, threads) {
  const started = performance.now();
  const exact = { threads, precision: /** @type {const} */ ('exact') };
  const fast = { threads, precision: /** @type {const} */ ('fast') };
  /** @type {Record<string, string>} */
  const hashes = {};
  const gpt1 = await train(lanewise, 'gpt1', exact);
  hashes['gpt1 training'] = await digestOf([Float64Array.from(gpt1.numbers)]);
  const { info, numbers, folder } = await train(lanewise, 'gpt2', exact);
  hashes['gpt2 training'] = await digestOf([Float64Array.from(numbers)]);
  for (const name of (await folder.list()).sort())
    hashes[`checkpoint ${name}`] = await sha256(await folder.readBytes(name));
  /** @type {Record<string, number>} */
  const deviations = {};
  for (const dtype of DTYPES) {
    const { logits, drawn } = await infer(lanewise, folder, { ...exact, dtype });
    hashes[`${dtype} logits`] = await digestOf(logits);
    hashes[`${dtype} tokens`] = await digestOf([Int32Array.from(drawn)]);
    deviations[dtype] = deviation((await infer(lanewise, folder, { ...fast, dtype })).logits, logits);
  }
  const trainedFast = await train(lanewise, 'gpt2', fast);
  deviations.training = deviation([trainedFast.numbers], [numbers]);
  return { exact: info, fast: trainedFast.info, hashes, deviations, milliseconds: performance.now() - started };
}
