/** Write: the model continues a text, token by token, each coloured by how likely it was. */
import { type GeneratedToken, generateTokens, type TextModel } from '../../src/index.ts';
import {
  attempt,
  button,
  byId,
  div,
  element,
  input,
  nextFrame,
  percent,
  Stopped,
  showError,
  textarea,
  visible,
} from './dom.ts';
import { forgetDownloads, model, onModel, openAddress, openBundled, openFiles, showKept } from './model.ts';

const ALTERNATIVES = 8;

interface Written extends GeneratedToken {
  readonly span: HTMLSpanElement;
}

let written: Written[] = [];
let chosen = -1;
let running: AbortController | undefined;

/** Share 0…1 → one of nine classes: equal steps of −log p, so that 1 % and 10 % look different. */
function shade(logProbability: number): string {
  return `p${Math.max(0, Math.round(8 + logProbability * 1.6))}`;
}

async function write(gpt: TextModel): Promise<void> {
  running?.abort(new Stopped());
  const controller = new AbortController();
  running = controller;
  const output = div('output');
  const speed = byId('write-speed', HTMLSpanElement);
  const prompt = textarea('prompt').value;
  written = [];
  chosen = -1;
  output.replaceChildren(element('span', { className: 'given' }, prompt));
  div('output-card').hidden = false;
  button('write-stop').disabled = false;
  const { tokenizer } = gpt;
  const decoder = tokenizer.stream();
  const generation = generateTokens(gpt.model, [tokenizer.encode(prompt)], {
    temperature: input('temperature').valueAsNumber,
    topK: input('top-k').valueAsNumber,
    topP: input('top-p').valueAsNumber,
    repetitionPenalty: input('penalty').valueAsNumber,
    maxNewTokens: input('max-tokens').valueAsNumber,
    seed: input('seed').valueAsNumber,
    endOfText: tokenizer.endOfText ?? null,
    logProbabilities: true,
    alternatives: ALTERNATIVES,
    signal: controller.signal,
  });
  const start = performance.now();
  let drawn = start;
  const rate = (per: number) => `${written.length} tokens, ${per.toFixed(per < 10 ? 1 : 0)} tokens/s`;
  try {
    for (;;) {
      const step = await generation.next();
      if (step.done) {
        output.append(decoder.flush());
        speed.textContent = rate(step.value.decodeTokensPerSecond);
        return;
      }
      const token = step.value;
      const text = decoder.push(token.tokenId);
      const span = element('span', { className: `t ${shade(token.logProbability!)}` }, text);
      written.push({ ...token, span });
      output.append(span);
      const now = performance.now();
      if (now - drawn < 30) continue;
      drawn = now;
      speed.textContent = rate((written.length * 1000) / (now - start));
      await nextFrame();
    }
  } finally {
    if (running === controller) {
      running = undefined;
      button('write-stop').disabled = true;
    }
  }
}

/** Shows what could have come in the place of a token. */
function choose(index: number): void {
  const token = written[index];
  const gpt = model();
  if (!token || !gpt) return;
  written[chosen]?.span.classList.remove('chosen');
  chosen = index;
  token.span.classList.add('chosen');
  const name = (id: number) => visible(gpt.tokenizer.decode([id]));
  const bars = (token.alternatives ?? []).map(({ tokenId, probability }) =>
    element(
      'span',
      { className: tokenId === token.tokenId ? 'taken' : '' },
      `${name(tokenId)}  ${percent(probability)}`,
    ),
  );
  div('alternatives').replaceChildren(
    element(
      'p',
      { className: 'hint' },
      `${name(token.tokenId)} had ${percent(Math.exp(token.logProbability!))}. The likeliest here:`,
    ),
    element('div', { className: 'bars' }, ...bars),
  );
}

export function startWrite(): void {
  const output = div('output');
  onModel(() => {
    button('write-start').disabled = false;
    running?.abort(new Stopped());
    div('output-card').hidden = true;
  });
  byId('write-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const gpt = model();
    if (gpt) attempt(() => write(gpt));
  });
  button('write-stop').addEventListener('click', () => running?.abort(new Stopped()));
  input('temperature').addEventListener('input', () => {
    byId('temperature-value', HTMLOutputElement).textContent = input('temperature').value;
  });
  for (const type of ['pointerover', 'click']) {
    output.addEventListener(type, ({ target }) => {
      const index = written.findIndex(({ span }) => span === target);
      if (index >= 0) choose(index);
    });
  }
  output.addEventListener('keydown', (event) => {
    const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: written.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(Math.min(Math.max(to, 0), written.length - 1));
  });
  output.addEventListener('focus', () => chosen < 0 && choose(0));

  button('model-forget').addEventListener('click', () => attempt(forgetDownloads));
  showKept().catch(showError);
  button('model-bundled').addEventListener('click', () => attempt(openBundled));
  for (const id of ['model-folder', 'model-files']) {
    input(id).addEventListener('change', () => {
      const { files } = input(id);
      if (files && files.length > 0) attempt(() => openFiles(files));
    });
  }
  byId('model-url-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => openAddress(input('model-url').value.trim()));
  });
}
