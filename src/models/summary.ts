/** `model.summary()`: layers, shapes, parameters and bytes in a table, as Keras prints it (its `summary_utils.py`). */
import type { GPTConfig } from '../formats/index.ts';
import type { Parameter, ParameterTable } from '../graph/parameters.ts';

const number = (value: number) => value.toLocaleString('en-US');
const shapeText = (shape: readonly (string | number)[]) => `[${shape.join(', ')}]`;

/** The cells of a layer: a table, a layer norm, a linear layer, or an adapter. */
function rowOf(name: string, parameters: readonly Parameter[]): string[] {
  const isAdapter = name.endsWith('.lora');
  const weight = parameters.find((parameter) => parameter.name.endsWith('.weight')) ?? parameters[0]!;
  const kind = weight.shape.length === 1 ? 'LayerNorm' : parameters.length === 1 ? 'Embedding' : 'Linear';
  const outputs = isAdapter ? parameters.at(-1)!.shape[0]! : weight.shape.at(-1)!;
  const sum = (of: 'size' | 'bytes') => number(parameters.reduce((sum, parameter) => sum + parameter[of], 0));
  return [
    `${name} (${isAdapter ? 'LoRA' : kind})`,
    shapeText(['T', outputs]),
    parameters.map(({ shape }) => shapeText(shape)).join(' + '),
    sum('size'),
    sum('bytes'),
  ];
}

/**
 * The table as text, without a newline at the end. T is the number of tokens.
 * @param adapters what alone is trained, where there are adapters
 */
export function formatSummary(
  family: string,
  config: GPTConfig,
  table: ParameterTable,
  headTable: string,
  adapters?: ParameterTable,
): string {
  const { encoding } = table;
  const dtype = encoding === 'packed' ? 'f32' : encoding;
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
  rows.push(['lm_head (Linear)', shapeText(['T', config.vocabSize]), `= ${headTable}`, '0', '0']);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column < 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  return [
    `Model: ${family}, ${config.nLayer} layers, ${config.nHead} heads, ${config.nEmbd} wide, context ${number(config.blockSize)}, vocabulary ${number(config.vocabSize)}`,
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
