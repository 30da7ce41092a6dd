/** The plot of a training run: loss on training and unseen text, accuracy. */
import uPlot from 'uplot';
import { div } from './dom.ts';
import type { LogPoint } from './run-files.ts';

const HEIGHT = 260;
let plot: uPlot | undefined;
let shown: readonly LogPoint[] = [];

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A running mean, so that one batch's luck does not hide where it goes. */
function smooth(values: readonly number[]): number[] {
  let mean = values[0] ?? 0;
  const weight = Math.min(1, Math.max(0.05, 20 / values.length));
  return values.map((value) => {
    mean += weight * (value - mean);
    return mean;
  });
}

function dataOf(points: readonly LogPoint[]): uPlot.AlignedData {
  return [
    points.map(({ step }) => step),
    smooth(points.map(({ loss }) => loss)),
    points.map(({ evalLoss }) => evalLoss ?? null),
    smooth(points.map(({ accuracy }) => accuracy * 100)),
  ];
}

function make(): uPlot {
  const container = div('plot');
  const [text, line] = [colour('--soft'), colour('--line')];
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const figure =
    (digits: number, unit = '') =>
    (_: uPlot, value: number | null) =>
      value === null || value === undefined ? '–' : `${value.toFixed(digits)}${unit}`;
  return new uPlot(
    {
      width: Math.max(container.clientWidth, 200),
      height: HEIGHT,
      cursor: { y: false },
      scales: { x: { time: false } },
      axes: [
        { ...axis },
        { ...axis, size: 44 },
        {
          ...axis,
          scale: '%',
          side: 1,
          size: 52,
          grid: { show: false },
          values: (_, ticks) => ticks.map((tick) => `${tick} %`),
        },
      ],
      series: [
        { label: 'step' },
        { label: 'loss', stroke: colour('--accent'), width: 2, value: figure(2) },
        {
          label: 'loss, unseen',
          stroke: colour('--eval'),
          width: 2,
          spanGaps: true,
          points: { show: true, size: 6 },
          value: figure(2),
        },
        { label: 'accuracy', stroke: colour('--accuracy'), width: 1.5, scale: '%', value: figure(1, ' %') },
      ],
    },
    dataOf(shown),
    container,
  );
}

/** Draws these steps. */
export function drawPlot(points: readonly LogPoint[]): void {
  shown = points;
  if (plot) plot.setData(dataOf(points));
  else plot = make();
}

function remake(): void {
  if (!plot) return;
  plot.destroy();
  plot = make();
}

export function startPlot(): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', remake);
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0);
    if (plot && width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  }).observe(div('plot'));
}
