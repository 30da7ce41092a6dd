/** `model.summary()`: layers, shapes, parameters and bytes in a table, as Keras prints it (its `summary_utils.py`). */
import type { GPTConfig } from '../formats/index.ts';
import type { ParameterTable } from '../graph/parameters.ts';

/** The table as text, without a newline at the end. */
export function formatSummary(family: string, config: GPTConfig, table: ParameterTable): string {
  const number = (value: number) => value.toLocaleString('en-US');
  const rows = table.list.map(({ name, shape, size }) => [
    name,
    `[${shape.join(', ')}]`,
    number(size),
    number(size * 4),
  ]);
  const header = ['Parameter', 'Shape', 'Values', 'Bytes'];
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [
    `${family}: ${config.nLayer} layers, ${config.nHead} heads, ${config.nEmbd} wide, context ${number(config.blockSize)}, vocabulary ${number(config.vocabSize)}`,
    rule,
    line(header),
    rule,
    ...rows.map(line),
    rule,
    `Parameters: ${number(table.count)} (${number(table.count * 4)} bytes in f32)`,
  ].join('\n');
}
