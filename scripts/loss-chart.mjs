// Draws the losses of a training log (`lanewise train --log`) as SVG.
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

/** @typedef {{ step: number, loss: number, evalLoss?: number }} LogLine */
/** @typedef {{ step: number, loss: number }} Point */

const WIDTH = 800;
const HEIGHT = 440;
const PLOT = { left: 64, right: WIDTH - 24, top: 56, bottom: HEIGHT - 52 };
const TRAIN = '#2563eb';
const UNSEEN = '#d9480f';

/**
 * @param {LogLine[]} log
 * @param {string} title
 * @returns {string} the SVG document
 */
export function lossChart(log, title) {
  const last = log.at(-1)?.step ?? 1;
  const smooth = smoothed(log);
  /** @type {Point[]} */
  const unseen = log.flatMap(({ step, evalLoss }) => (evalLoss === undefined ? [] : [{ step, loss: evalLoss }]));
  const losses = [...smooth, ...unseen].map(({ loss }) => loss);
  const x = scaleLinear([0, last], [PLOT.left, PLOT.right]);
  const y = scaleLinear([Math.min(...losses), Math.max(...losses)], [PLOT.bottom, PLOT.top]).nice(6);
  const path = line(
    (/** @type {Point} */ point) => x(point.step),
    (/** @type {Point} */ point) => y(point.loss),
  ).digits(1);
  const [low = 0] = y.domain();

  const grid = y
    .ticks(6)
    .map(
      (tick) =>
        `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#e2e8f0"/>` +
        `<text x="${PLOT.left - 10}" y="${y(tick)}" text-anchor="end" dominant-baseline="middle">${y.tickFormat(6)(tick)}</text>`,
    );
  const steps = x
    .ticks(8)
    .map(
      (tick) =>
        `<line x1="${x(tick)}" x2="${x(tick)}" y1="${PLOT.bottom}" y2="${PLOT.bottom + 5}" stroke="#64748b"/>` +
        `<text x="${x(tick)}" y="${PLOT.bottom + 20}" text-anchor="middle">${x.tickFormat(8)(tick)}</text>`,
    );
  const dots = unseen.map(
    ({ step, loss }) => `<circle cx="${x(step).toFixed(1)}" cy="${y(loss).toFixed(1)}" r="3.5" fill="${UNSEEN}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#334155">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${PLOT.left}" y="28" font-size="17" font-weight="600">${escapeXml(title)}</text>
${grid.join('\n')}
<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(low)}" y2="${y(low)}" stroke="#64748b"/>
${steps.join('\n')}
<text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 12}" text-anchor="middle">step</text>
<text transform="translate(18 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">loss (nats per token)</text>
<path d="${path(smooth) ?? ''}" fill="none" stroke="${TRAIN}" stroke-width="2"/>
<path d="${path(unseen) ?? ''}" fill="none" stroke="${UNSEEN}" stroke-width="2"/>
${dots.join('\n')}
${legend('training text (smoothed)', TRAIN, 0)}
${legend('unseen text', UNSEEN, 1)}
</svg>
`;
}

/**
 * A running mean over a hundredth of the run on either side.
 * @param {LogLine[]} log
 * @returns {Point[]}
 */
function smoothed(log) {
  const reach = Math.ceil(log.length / 100);
  return log.map(({ step }, index) => {
    const near = log.slice(Math.max(0, index - reach), index + reach + 1);
    return { step, loss: near.reduce((sum, { loss }) => sum + loss, 0) / near.length };
  });
}

/**
 * @param {string} label
 * @param {string} colour
 * @param {number} row
 */
function legend(label, colour, row) {
  const y = PLOT.top + 14 + row * 22;
  return `<line x1="${PLOT.right - 190}" x2="${PLOT.right - 166}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="3"/><text x="${PLOT.right - 158}" y="${y}" dominant-baseline="middle">${label}</text>`;
}

/** @param {string} text */
function escapeXml(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}
