/** `model.summary()`: layers, shapes, parameters and bytes in a table, as Keras prints it (its `summary_utils.py`). */
import type { GPTConfig } from '../formats/index.ts';
import type { Parameter, ParameterTable } from '../graph/parameters.ts';

interface Layer {
  readonly name: string;
  readonly type: string;
  /** Shape of what the layer puts out for one sequence. */
  readonly output: string;
  readonly shapes: string;
  readonly parameters: number;
  readonly bytes: number;
}

const number = (value: number) => value.toLocaleString('en-US');
const shapeText = (shape: readonly (string | number)[]) => `[${shape.join(', ')}]`;

/** What a group of parameters is: a table, a layer norm, a linear layer, or an adapter. */
function layerOf(name: string, parameters: readonly Parameter[]): Layer {
  const kind = name.endsWith(ADAPTER) ? 'LoRA' : undefined;
  const { shape } = parameters.find((parameter) => parameter.name.endsWith('.weight')) ?? parameters[0]!;
  const type = kind ?? (shape.length === 1 ? 'LayerNorm' : parameters.length === 1 ? 'Embedding' : 'Linear');
  return {
    name,
    type,
    output: shapeText(['T', kind ? parameters.at(-1)!.shape[0]! : shape.at(-1)!]),
    shapes: parameters.map((parameter) => shapeText(parameter.shape)).join(' + '),
    parameters: parameters.reduce((sum, { size }) => sum + size, 0),
    bytes: parameters.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** What the name of an adapter's layer ends in. */
const ADAPTER = '.lora';

function layersOf(parameters: readonly Parameter[], config: GPTConfig, headTable: string): Layer[] {
  const groups = new Map<string, Parameter[]>();
  for (const parameter of parameters) {
    const layer = parameter.name.replace(/^base_model\.model\./, '').replace(/(_[AB])?\.(weight|bias)$/, '');
    groups.set(layer, [...(groups.get(layer) ?? []), parameter]);
  }
  const layers = [...groups].map(([name, parameters]) => layerOf(name, parameters));
  const tied = `= ${headTable}`;
  return [
    ...layers,
    {
      name: 'lm_head',
      type: 'Linear',
      output: shapeText(['T', config.vocabSize]),
      shapes: tied,
      parameters: 0,
      bytes: 0,
    },
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
  const rows = layersOf(parameters, config, headTable).map((layer) => [
    `${layer.name} (${layer.type})`,
    layer.output,
    layer.shapes,
    number(layer.parameters),
    number(layer.bytes),
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
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
