/** Look inside: tokens, attention maps, and what each layer would say next. */
import { type Inspection, inspect, type TextModel } from '../../src/index.ts';
import { attempt, button, byId, div, element, nextFrame, paragraph, percent, textarea, visible } from './dom.ts';
import { model, onModel } from './model.ts';

const MOST_TOKENS = 64;
/** Pixels of the canvas, whatever size it is shown in. */
const CANVAS = 768;

interface Look {
  readonly names: readonly string[];
  readonly inspection: Inspection;
}

let look: Look | undefined;
let chosen = { row: 0, column: 0 };
const select = (id: string) => byId(id, HTMLSelectElement);

async function start(gpt: TextModel): Promise<void> {
  const { tokenizer } = gpt;
  const most = Math.min(MOST_TOKENS, gpt.model.config.blockSize);
  const ids = tokenizer.encode(textarea('inside-text').value).slice(0, most);
  if (ids.length === 0) throw new Error('Expected some text to look at, got none. Write a few words.');
  button('inside-start').disabled = true;
  try {
    await nextFrame();
    const inspection = await inspect(gpt.model, ids, { top: 5 });
    look = { names: Array.from(ids, (id) => tokenizer.decode([id])), inspection };
    chosen = { row: ids.length - 1, column: 0 };
    div('inside-result').hidden = false;
    showChips(ids);
    showLens(gpt);
    fill(select('layer'), inspection.attention.length);
    fill(select('head'), inspection.attention[0]!.length / ids.length ** 2);
    draw();
  } finally {
    button('inside-start').disabled = false;
  }
}

function fill(list: HTMLSelectElement, count: number): void {
  const { value } = list;
  list.replaceChildren(...Array.from({ length: count }, (_, i) => element('option', { value: String(i) }, `${i + 1}`)));
  list.value = Number(value) < count && value !== '' ? value : '0';
}

function showChips(ids: Uint32Array): void {
  const chips = Array.from(ids, (id, t) => {
    const chip = element('button', { type: 'button' }, visible(look!.names[t]!), element('small', {}, String(id)));
    chip.addEventListener('click', () => {
      chosen = { row: t, column: Math.min(chosen.column, t) };
      draw();
    });
    return chip;
  });
  div('chips').replaceChildren(...chips);
}

/** The map of the chosen layer and head. */
function weightsOf({ inspection, names }: Look): Float32Array {
  const size = names.length ** 2;
  const head = Number(select('head').value);
  return inspection.attention[Number(select('layer').value)]!.subarray(head * size, (head + 1) * size);
}

function draw(): void {
  if (!look) return;
  const canvas = byId('attention', HTMLCanvasElement);
  canvas.width = CANVAS;
  canvas.height = CANVAS;
  const context = canvas.getContext('2d')!;
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const weights = weightsOf(look);
  const length = look.names.length;
  const cell = CANVAS / length;
  context.fillStyle = colour('--page');
  context.fillRect(0, 0, CANVAS, CANVAS);
  for (let row = 0; row < length; row++) {
    for (let column = 0; column <= row; column++) {
      // Square roots, so that a tenth is seen too.
      context.fillStyle = `rgb(${colour('--heat')} / ${Math.sqrt(weights[row * length + column]!)})`;
      context.fillRect(column * cell, row * cell, cell, cell);
    }
  }
  hatchMask(context, length, cell, colour('--hatch'), colour('--line'));
  context.strokeStyle = colour('--accent');
  context.lineWidth = 3;
  context.strokeRect(0, chosen.row * cell, (chosen.row + 1) * cell, cell);
  context.strokeStyle = colour('--eval');
  context.strokeRect(chosen.column * cell, chosen.row * cell, cell, cell);
  for (const [t, chip] of [...div('chips').children].entries())
    chip.setAttribute('aria-pressed', String(t === chosen.row));
  describe();
}

/** What comes later, as stripes. */
function hatchMask(
  context: CanvasRenderingContext2D,
  length: number,
  cell: number,
  fill: string,
  stripe: string,
): void {
  context.save();
  context.beginPath();
  for (let row = 0; row < length - 1; row++) context.rect((row + 1) * cell, row * cell, CANVAS, cell);
  context.clip();
  context.fillStyle = fill;
  context.fillRect(0, 0, CANVAS, CANVAS);
  context.strokeStyle = stripe;
  context.lineWidth = 2;
  context.beginPath();
  for (let x = 0; x < 2 * CANVAS; x += 16) {
    context.moveTo(x, 0);
    context.lineTo(x - CANVAS, CANVAS);
  }
  context.stroke();
  context.restore();
}

function describe(): void {
  if (!look) return;
  const { row, column } = chosen;
  const name = (t: number) => `“${visible(look!.names[t]!)}” (${t + 1})`;
  const weights = weightsOf(look);
  const length = look.names.length;
  paragraph('attention-detail').textContent =
    column > row
      ? `${name(row)} cannot see ${name(column)}, which comes later.`
      : `${name(row)} gives ${percent(weights[row * length + column]!)} of its attention to ${name(column)}.`;
}

function showLens(gpt: TextModel): void {
  const { names, inspection } = look!;
  const name = (id: number) => visible(gpt.tokenizer.decode([id]));
  const last = inspection.predictions.length - 1;
  const head = element(
    'tr',
    {},
    element('th', { scope: 'col' }, 'after'),
    ...names.map((text) => element('th', { scope: 'col' }, visible(text))),
  );
  // The last layer on top: it is what the model says.
  const rows = inspection.predictions.map((row, k) => {
    const title = k === 0 ? 'embedding' : k === last ? `layer ${k}, the model` : `layer ${k}`;
    const cells = row.map((tokens, t) => {
      const [best] = tokens;
      const cell = element('button', { type: 'button' }, name(best!.tokenId));
      cell.style.setProperty('--share', (0.75 * best!.probability).toFixed(3));
      cell.addEventListener('click', () => {
        const list = tokens.map(({ tokenId, probability }) => `${name(tokenId)} ${percent(probability)}`).join(', ');
        paragraph('lens-detail').textContent = `After “${visible(names[t]!)}”, ${title}: ${list}.`;
      });
      return element('td', {}, cell);
    });
    return element('tr', {}, element('th', { scope: 'row' }, title), ...cells);
  });
  byId('lens', HTMLTableElement).replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows.reverse()));
  paragraph('lens-detail').textContent = '';
}

export function startInside(): void {
  const canvas = byId('attention', HTMLCanvasElement);
  onModel(() => {
    button('inside-start').disabled = false;
    div('inside-result').hidden = true;
    look = undefined;
  });
  byId('inside-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const gpt = model();
    if (gpt) attempt(() => start(gpt));
  });
  for (const id of ['layer', 'head']) select(id).addEventListener('change', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  const move = (row: number, column: number) => {
    const last = (look?.names.length ?? 1) - 1;
    chosen = { row: Math.min(Math.max(row, 0), last), column: Math.min(Math.max(column, 0), last) };
    draw();
  };
  for (const type of ['pointermove', 'click'] as const) {
    canvas.addEventListener(type, ({ offsetX, offsetY }) => {
      if (!look) return;
      const scale = look.names.length / canvas.clientWidth;
      const [row, column] = [Math.floor(offsetY * scale), Math.floor(offsetX * scale)];
      if (row !== chosen.row || column !== chosen.column) move(row, column);
    });
  }
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(chosen.row + step[0]!, chosen.column + step[1]!);
  });
}
