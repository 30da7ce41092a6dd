/** Train: a text becomes a model. A run is kept in the browser as it goes, and continues after a pause or a reload. */
import { zipSync } from 'fflate';
import {
  type CausalLM,
  causalLanguageModel,
  createModel,
  generateTokens,
  memoryDirectory,
  type TokenBatch,
  type Tokenizer,
  Trainer,
  type TrainStep,
  tokenDataset,
  trainTokenizer,
} from '../../src/index.ts';
import {
  attempt,
  button,
  byId,
  div,
  download,
  duration,
  element,
  input,
  keepStorage,
  mebibytes,
  nextFrame,
  paragraph,
  percent,
  Stopped,
  showError,
  textarea,
} from './dom.ts';
import { openFolder } from './model.ts';
import { drawPlot, startPlot } from './plot.ts';
import { RunFiles, type RunLog, type RunPlan } from './run-files.ts';
import {
  EVALUATIONS,
  MOST_EVALUATED,
  memoryOf,
  modelOptions,
  noteSpeed,
  parametersOf,
  SIZES,
  type Size,
  secondsOfRun,
  secondsOfStep,
  vocabularyFor,
} from './sizes.ts';

/** A checkpoint about this often, so that a reload loses no more. */
const SECONDS_PER_CHECKPOINT = 8;
const SAMPLE_TOKENS = 48;
/** What is shown of the speed is the mean of this many steps. */
const STEPS_OF_SPEED = 20;

let running: AbortController | undefined;
let files: RunFiles;
/** The run that waits to go on. */
let paused: RunPlan | undefined;

const chosenSize = () => document.querySelector<HTMLInputElement>('input[name="train-size"]:checked')?.value ?? 'tiny';

function countText(): void {
  const { length } = textarea('train-text').value;
  paragraph('train-count').textContent = `${length.toLocaleString('en')} characters`;
}

/** Each estimate has a number; only the newest one is shown. */
let estimates = 0;

/** Says what each size takes, and the chosen one in a sentence: memory at once, time when it is measured. */
async function estimate(): Promise<void> {
  if (running) return;
  const turn = ++estimates;
  const label = paragraph('train-estimate');
  const steps = input('train-steps').valueAsNumber;
  const characters = textarea('train-text').value.length;
  const sizes = Object.entries(SIZES).map(([name, size]) => {
    const vocabSize = vocabularyFor(size, characters);
    return { name, size, vocabSize, memory: mebibytes(memoryOf(size, vocabSize)) };
  });
  const say = (name: string, size: Size, vocabSize: number, cost: string) => {
    const parameters = (parametersOf(size, vocabSize) / 1e6).toFixed(1);
    byId(`train-size-${name}`, HTMLElement).textContent = `${parameters} million parameters, ${cost}`;
  };
  for (const { name, size, vocabSize, memory } of sizes) say(name, size, vocabSize, memory);
  if (!Number.isFinite(steps)) {
    label.textContent = 'Say how many steps.';
    return;
  }
  label.textContent = 'Measuring how fast this machine trains …';
  await nextFrame();
  for (const { name, size, vocabSize, memory } of sizes) {
    const time = duration(await secondsOfRun(size, vocabSize, steps));
    if (turn !== estimates || running) return;
    say(name, size, vocabSize, `${memory}, about ${time}`);
    if (name === chosenSize()) label.textContent = `About ${time} and ${memory} of memory on this machine.`;
  }
}

function setState(state: 'idle' | 'running' | 'paused'): void {
  const isRunning = state === 'running';
  button('train-start').disabled = isRunning;
  button('train-start').textContent = state === 'paused' ? 'Resume' : 'Train';
  button('train-pause').disabled = !isRunning;
  button('train-discard').hidden = state !== 'paused';
  for (const control of byId('train-form', HTMLFormElement).querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(
    'input, textarea',
  ))
    control.disabled = state !== 'idle';
}

/** Shows a run that is there: its choices, its plot, what it wrote. */
async function show(plan: RunPlan, log: RunLog): Promise<void> {
  textarea('train-text').value = await files.text();
  countText();
  input('train-steps').valueAsNumber = plan.steps;
  input('train-rate').valueAsNumber = plan.learningRate;
  input('train-prompt').value = plan.prompt;
  for (const radio of document.querySelectorAll<HTMLInputElement>('input[name="train-size"]'))
    radio.checked = radio.value === plan.size;
  div('train-progress-card').hidden = false;
  drawPlot(log.points);
  div('samples').replaceChildren(...log.samples.map(sampleElement).reverse());
  const done = log.points.at(-1)?.step ?? 0;
  byId('train-progress', HTMLProgressElement).value = done / plan.steps;
}

const sampleElement = ({ step, text }: RunLog['samples'][number]) =>
  element('p', {}, element('small', {}, `after ${step.toLocaleString('en')} steps`), text);

async function begin(): Promise<void> {
  const text = textarea('train-text').value;
  if (text.trim().length < 400)
    throw new Error(
      `A model needs some text to learn from: expected at least 400 characters, got ${text.trim().length}. Paste or drop a longer one.`,
    );
  const size = chosenSize();
  const plan: RunPlan = {
    size,
    steps: input('train-steps').valueAsNumber,
    learningRate: input('train-rate').valueAsNumber,
    prompt: input('train-prompt').value || text.trimStart().slice(0, 24),
    vocabSize: vocabularyFor(SIZES[size]!, text.length),
  };
  keepStorage();
  await files.begin(plan, text);
  await train(plan);
}

/** Runs `work` unless another tab of this page trains: both would write the same checkpoints. */
function alone(work: () => Promise<void>): Promise<void> {
  if (!('locks' in navigator)) return work(); // only in secure contexts, which alone keep anything
  return navigator.locks.request('lanewise-training', { ifAvailable: true }, async (lock) => {
    if (lock === null)
      throw new Error('A run is going on in another tab of this page: pause it there, or wait until it is done.');
    await work();
  });
}

async function train(plan: RunPlan): Promise<void> {
  const controller = new AbortController();
  running = controller;
  paused = undefined;
  setState('running');
  const status = paragraph('train-status');
  div('train-progress-card').hidden = false;
  let model: CausalLM | undefined;
  let log: RunLog | undefined;
  try {
    status.textContent = 'Cutting the text into tokens …';
    await nextFrame();
    const size = SIZES[plan.size]!;
    const text = await files.text();
    const tokenizer = await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: plan.vocabSize });
    const ids = tokenizer.encode(text, { allowSpecial: false });
    const data = tokenDataset(ids, { evalFraction: Math.min(0.1, MOST_EVALUATED / ids.length) });
    model = await createModel('gpt2', { ...modelOptions(size, tokenizer.vocabSize), seed: 1 });
    const secondsPerStep = await secondsOfStep(size, tokenizer.vocabSize);
    const tenth = Math.max(1, Math.round(plan.steps / EVALUATIONS));
    const trainer = new Trainer(causalLanguageModel(model), data, {
      batchSize: size.batchSize,
      steps: plan.steps,
      learningRate: plan.learningRate,
      evalEvery: tenth,
      saveEvery: Math.max(1, Math.min(tenth, Math.round(SECONDS_PER_CHECKPOINT / secondsPerStep))),
      directory: await files.checkpoints(),
      tokenizer,
    });
    const from = await trainer.resume();
    log = await files.log();
    log.points.splice(log.points.findLastIndex(({ step }) => step <= from) + 1);
    log.samples.splice(log.samples.findLastIndex(({ step }) => step <= from) + 1);
    await show(plan, log);
    await follow(plan, trainer, model, tokenizer, log, controller.signal);
    await model.save(await files.finished(), { tokenizer });
    await files.saveLog(log);
    status.textContent = `${status.textContent} Done.`;
    setState('idle');
  } catch (error) {
    // The trainer saved a checkpoint when it was paused.
    if (log) await files.saveLog(log);
    const isPause = error instanceof Stopped;
    if (isPause || (await files.newest())) {
      paused = plan;
      setState('paused');
      if (isPause) status.textContent = 'Paused. The run is kept; continue whenever you like.';
    } else setState('idle');
    throw error;
  } finally {
    model?.dispose();
    running = undefined;
    showTrain(); // by what this run has shown
    await offer();
  }
}

/** Runs the steps and shows them. */
async function follow(
  plan: RunPlan,
  trainer: Trainer<TokenBatch>,
  model: CausalLM,
  tokenizer: Tokenizer,
  log: RunLog,
  signal: AbortSignal,
): Promise<void> {
  const status = paragraph('train-status');
  let drawn = performance.now();
  let sampled = drawn;
  const { saveEvery } = trainer.settings;
  // Before a checkpoint is saved, so that the log has all steps of every checkpoint that a reload finds.
  const onStep = async ({ step, loss, accuracy, evaluation }: TrainStep) => {
    log.points.push({ step, loss, accuracy, ...(evaluation ? { evalLoss: evaluation.loss } : {}) });
    if (step % saveEvery === 0) await files.saveLog(log);
  };
  /** When the last steps ended. */
  const ends: number[] = [];
  /** When the first step ended, and how many have ended since. */
  let [first, counted] = [0, -1];
  for await (const { step, loss, accuracy, checkpoint } of trainer.run({ signal, onStep })) {
    if (checkpoint) await offer();
    const now = performance.now();
    ends.push(now);
    if (counted++ < 0) first = now;
    if (ends.length > STEPS_OF_SPEED + 1) ends.shift();
    const isLast = step === plan.steps;
    if (now - drawn > 150 || isLast) {
      drawn = now;
      const { batchSize, blockSize } = SIZES[plan.size]!;
      const perStep = (now - ends[0]!) / 1000 / Math.max(1, ends.length - 1);
      const tokensPerSecond = (batchSize * blockSize) / perStep;
      const left = (plan.steps - step) * perStep;
      if (counted >= STEPS_OF_SPEED) noteSpeed(SIZES[plan.size]!, plan.vocabSize, (now - first) / 1000 / counted);
      status.textContent =
        `Step ${step.toLocaleString('en')} of ${plan.steps.toLocaleString('en')}, loss ${loss.toFixed(2)}, accuracy ${percent(accuracy)}, ` +
        `${ends.length < 2 ? '…' : Math.round(tokensPerSecond).toLocaleString('en')} tokens/s${isLast ? '.' : `, ${duration(left)} left.`}`;
      byId('train-progress', HTMLProgressElement).value = step / plan.steps;
      drawPlot(log.points);
      await nextFrame();
    }
    if (isLast || now - sampled > Math.max(4000, (log.samples.length + 1) * 1500)) {
      const text = await sample(model, tokenizer, plan.prompt);
      log.samples.push({ step, text });
      div('samples').prepend(sampleElement({ step, text }));
      sampled = performance.now();
    }
  }
}

/** What the model writes now. */
async function sample(model: CausalLM, tokenizer: Tokenizer, prompt: string): Promise<string> {
  const options = { maxNewTokens: SAMPLE_TOKENS, temperature: 0.8, topK: 40, seed: 1 };
  const ids: number[] = [];
  for await (const { tokenId } of generateTokens(model, [tokenizer.encode(prompt)], options)) ids.push(tokenId);
  return `${prompt}${tokenizer.decode(ids)}`;
}

/** What can be done with the newest model of the run. */
async function offer(): Promise<void> {
  const there = (await files.newest()) !== undefined;
  button('train-use').disabled = !there;
  button('train-download').disabled = !there;
}

/** The files of a model, without the optimizer's. */
const MODEL_FILES = ['config.json', 'model.safetensors', 'tokenizer.json'];

async function downloadModel(): Promise<void> {
  const folder = await files.newest();
  if (!folder) return;
  const entries: Record<string, Uint8Array> = {};
  for (const name of MODEL_FILES) entries[`lanewise-model/${name}`] = await folder.readBytes(name);
  // Weights do not get smaller by compressing.
  download('lanewise-model.zip', zipSync(entries, { level: 0 }) as Uint8Array<ArrayBuffer>, 'application/zip');
}

async function useModel(): Promise<void> {
  const folder = await files.newest();
  if (!folder) return;
  // A copy: the run may go on and remove this checkpoint.
  const copy = memoryDirectory();
  for (const name of MODEL_FILES) await copy.write(name, await folder.readBytes(name));
  await openFolder('The model that you trained', copy);
  textarea('prompt').value = (await files.plan())?.prompt ?? '';
  button('tab-write').click();
}

/** Takes a text file. */
export async function takeText(file: File): Promise<void> {
  if (running || paused) throw new Error('A run is going on: pause and discard it before you give it another text.');
  textarea('train-text').value = await file.text();
  countText();
  showTrain();
}

/** Called when the tab is shown. */
export function showTrain(): void {
  if (!running && !paused) estimate().catch(showError);
}

export async function startTrain(): Promise<void> {
  const names = Object.entries(SIZES);
  div('train-sizes').append(
    ...names.map(([name, size]) =>
      element(
        'label',
        {},
        element('input', { type: 'radio', name: 'train-size', value: name, checked: name === 'tiny' }),
        element('span', {}, element('b', {}, size.title), element('span', { id: `train-size-${name}` })),
      ),
    ),
  );
  startPlot();
  textarea('train-text').addEventListener('input', () => {
    countText();
    showTrain();
  });
  input('train-file').addEventListener('change', () => {
    const [file] = input('train-file').files ?? [];
    if (file) attempt(() => takeText(file));
  });
  for (const id of ['train-sizes', 'train-steps']) byId(id, HTMLElement).addEventListener('change', showTrain);
  byId('train-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const plan = paused;
    attempt(() => alone(() => (plan ? train(plan) : begin())));
  });
  button('train-pause').addEventListener('click', () => running?.abort(new Stopped()));
  button('train-discard').addEventListener('click', () =>
    attempt(async () => {
      await files.discard();
      paused = undefined;
      div('train-progress-card').hidden = true;
      setState('idle');
      await offer();
      await estimate();
    }),
  );
  button('train-download').addEventListener('click', () => attempt(downloadModel));
  button('train-use').addEventListener('click', () => attempt(useModel));

  files = await RunFiles.open();
  paragraph('train-kept').textContent = files.lasting
    ? 'A run is kept in this browser as it goes: pause it, close the tab, come back.'
    : 'This browser keeps nothing for this page, as in a private window: a run ends when you leave, so download what you want to keep.';
  const plan = await files.plan();
  if (!plan) return setState('idle');
  const log = await files.log();
  await show(plan, log);
  await offer();
  const done = log.points.at(-1)?.step ?? 0;
  if (await (await files.finished()).has('tokenizer.json')) {
    setState('idle');
    paragraph('train-status').textContent = `A run of ${plan.steps.toLocaleString('en')} steps, finished earlier.`;
    return;
  }
  paused = plan;
  setState('paused');
  paragraph('train-status').textContent =
    `A run of ${plan.steps.toLocaleString('en')} steps waits at step ${done.toLocaleString('en')}.`;
}
