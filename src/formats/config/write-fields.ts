/** Writing a config.json as transformers does. */

/** A value of a config.json to be written; `PythonFloat` where Python must read a float. */
export type ConfigValue = null | boolean | number | string | PythonFloat | readonly ConfigValue[] | ConfigRecord;
/** An object of a config.json to be written. */
export interface ConfigRecord {
  readonly [field: string]: ConfigValue;
}

/** A number that is spelled with a point: transformers 5 checks types, and its floats refuse `0`. */
export class PythonFloat {
  /** The number. */
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

function write(value: ConfigValue, indent: string): string {
  if (value instanceof PythonFloat) {
    const text = String(value.value);
    return /^-?\d+$/.test(text) ? `${text}.0` : text;
  }
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const inner = `${indent}  `;
  const isList = Array.isArray(value);
  const items = isList
    ? value.map((item) => write(item, inner))
    : Object.entries(value as ConfigRecord)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, item]) => `${JSON.stringify(key)}: ${write(item, inner)}`);
  const [open, close] = isList ? '[]' : '{}';
  return items.length === 0 ? `${open}${close}` : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`;
}

/**
 * Writes fields as transformers does: keys sorted, two spaces, a newline at the end.
 * @param fields the fields.
 * @returns the text of a config.json.
 */
export function formatFields(fields: ConfigRecord): string {
  return `${write(fields, '')}\n`;
}
