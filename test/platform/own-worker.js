/**
 * A program's own worker, whose engine has two threads: it ends the one that is not the worker itself while the model writes,
 * and says what came of it. What it writes blocks its event loop, so nothing here could find out that the run hangs.
 */
// @ts-nocheck: it imports what the build makes, whose types are those of src/ once more
/** @type {Worker[]} */
const workers = [];
const Original = globalThis.Worker;
globalThis.Worker = class extends Original {
  /** @param {ConstructorParameters<typeof Worker>} args */
  constructor(...args) {
    super(...args);
    workers.push(this);
  }
};

globalThis.onmessage = async () => {
  const lanewise = await import('../../dist/index.js');
  const shape = { nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 96, seed: 3, threads: 2 };
  const write = async (/** @type {any} */ model) => {
    const found = [];
    for await (const { tokenId } of lanewise.generateTokens(model, [[1, 2, 3]], { maxNewTokens: 40, seed: 1 }))
      found.push(tokenId);
    return found.join();
  };
  const model = await lanewise.createModel('gpt2', shape);
  const { threads } = model.engine;
  const started = performance.now();
  /** @type {any} */
  let error;
  try {
    await write(model);
    workers[0]?.terminate();
    // A worker that is ended goes on for up to two seconds.
    while (performance.now() - started < 20_000) await write(model);
  } catch (caught) {
    error = caught;
  }
  const milliseconds = performance.now() - started;
  const typed = error instanceof lanewise.EngineError;
  const { name = 'nothing', message = '', thread } = error ?? {};
  postMessage({ threads, name, message, typed, thread, milliseconds });
};
