/** `model.summary()`: layers, shapes, parameters and bytes in a table, as Keras prints it (its `summary_utils.py`). */
import type { Parameter, ParameterTable } from '../graph/parameters.ts';
import { dtypeOf } from './dtype.ts';
import type { Family, ModelConfig } from './family.ts';
import type { Head } from './heads/head.ts';
import { LanguageModelHead } from './heads/language-model.ts';

/** What the summary shows of a model. */
interface Summarized<C extends ModelConfig> {
  readonly family: Family<C>;
  readonly config: C;
  readonly parameters: ParameterTable;
  readonly head: Head;
}

const number = (value: number) => value.toLocaleString('en-US');
const shapeText = (shape: readonly (string | number)[]) => `[${shape.join(', ')}]`;

/** The cells of a layer. */
function rowOf(name: string, parameters: readonly Parameter[]): string[] {
  const { layer, shape, product } = parameters[0]!;
  // An adapter's output is that of its second matrix.
  const outputs =
    layer === 'LoRA'
      ? parameters.at(-1)!.shape[0]
      : layer === 'Linear' && product === 'out-in'
        ? shape[0]
        : shape.at(-1);
  const sum = (of: 'size' | 'bytes') => number(parameters.reduce((sum, parameter) => sum + parameter[of], 0));
  return [
    `${name} (${layer ?? 'Parameter'})`,
    shapeText(['T', outputs!]),
    parameters.map(({ shape }) => shapeText(shape)).join(' + '),
    sum('size'),
    sum('bytes'),
  ];
}

/**
 * The table as text, without a newline at the end. T is the number of tokens.
 * @param adapters what alone is trained, where there are adapters
 */
export function formatSummary<C extends ModelConfig>(
  { family, config, parameters: table, head }: Summarized<C>,
  adapters?: ParameterTable,
): string {
  const { encoding } = table;
  const dtype = dtypeOf(encoding);
  const parameters = [...table.list, ...(adapters?.list ?? [])];
  const count = table.count + (adapters?.count ?? 0);
  const trainable = adapters ? adapters.count : encoding === 'f32' ? count : 0;
  const total = parameters.reduce((sum, { bytes }) => sum + bytes, 0);
  const header = ['Layer (type)', 'Output', 'Weights', 'Parameters', `Bytes (${dtype})`];
  const layers = new Map<string, Parameter[]>();
  for (const parameter of parameters) {
    const layer = parameter.name.replace(/^base_model\.model\./, '').replace(/(_[AB])?\.(weight|bias)$/, '');
    layers.set(layer, [...(layers.get(layer) ?? []), parameter]);
  }
  const rows = [...layers].map(([name, parameters]) => rowOf(name, parameters));
  // A head with a table of its own has its row already.
  if (head instanceof LanguageModelHead && table.get(head.table).layer !== 'Linear')
    rows.push(['lm_head (Linear)', shapeText(['T', config.vocabSize]), `= ${head.table}`, '0', '0']);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [
    `Model: ${family.modelType}, ${family.shapeOf(config)}, context ${number(config.blockSize)}, vocabulary ${number(config.vocabSize)}`,
    rule,
    line(header),
    rule,
    ...rows.map(line),
    rule,
    `Total parameters: ${number(count)} (${(total / 2 ** 20).toFixed(2)} MiB in ${dtype})`,
    `Trainable parameters: ${number(trainable)}`,
    `Non-trainable parameters: ${number(count - trainable)}`,
  ].join('\n');
}
