/** Typed access to the fields of a config.json: each reader returns a value of its type or throws ConfigError. */

import { ConfigError } from '../../errors.ts';
import { describeJsonValue, type JsonMap, JsonSyntaxError, type JsonValue, numberOf, parseJsonValue } from '../json.ts';
import { checkOptions, type NameOption, type OptionRules } from './options.ts';

/** One config.json. */
export class ConfigFields {
  /** The file, as messages call it. */
  readonly file: string;
  readonly #fields: JsonMap;

  constructor(file: string, fields: JsonMap) {
    this.file = file;
    this.#fields = fields;
  }

  /**
   * Parses the text of a config.json.
   * @throws ConfigError when it is not a JSON object, or names a field twice.
   */
  static parse(text: string, file: string): ConfigFields {
    let value: JsonValue;
    try {
      value = parseJsonValue(text);
    } catch (cause) {
      if (!(cause instanceof JsonSyntaxError)) throw cause;
      throw new ConfigError(`${file}: expected JSON, got ${cause.reason}. Repair the file.`, { cause });
    }
    if (value instanceof Map) return new ConfigFields(file, value);
    throw new ConfigError(
      `${file}: expected a JSON object, got ${describeJsonValue(value)}. Check that it is a config.json.`,
    );
  }

  /** The error for a field that is missing or wrong. */
  error(field: string, expected: string, hint = `Change ${field}.`): ConfigError {
    const found = describeJsonValue(this.#fields.get(field));
    return new ConfigError(`${this.file}: expected ${field} to be ${expected}, got ${found}. ${hint}`);
  }

  /** A field as it stands; null counts as absent. */
  get(field: string): JsonValue | undefined {
    return this.#fields.get(field) ?? undefined;
  }

  /**
   * A number, whatever its range.
   * @param names field names that mean the same; the first that is there counts.
   * @param fallback value when there is none.
   */
  number(names: readonly string[], fallback: number): number {
    for (const name of names) {
      const value = this.get(name);
      if (value === undefined) continue;
      const number = numberOf(value);
      if (number === undefined) throw this.error(name, 'a number');
      return number;
    }
    return fallback;
  }

  /** A string. */
  string(field: string, fallback: string): string {
    const value = this.get(field) ?? fallback;
    if (typeof value === 'string') return value;
    throw this.error(field, 'a string');
  }

  /** Checks the options that were read; see `checkOptions`. */
  check<C extends object>(rules: OptionRules<C>, config: C, nameOption: NameOption): C {
    return checkOptions(rules, config, this.file, nameOption);
  }

  /** Refuses a switch that is not at the value this package computes with. */
  require(field: string, required: boolean, hint: string): void {
    const value = this.get(field) ?? required;
    if (value !== required) throw this.error(field, `${required}`, hint);
  }

  /**
   * A token id. Files keep GPT-2's 50256 even when the vocabulary is smaller: such an id can never occur,
   * and counts as absent, as it does in effect in transformers.
   * @returns an id below `vocabSize`, or undefined.
   */
  tokenId(field: string, fallback: number | undefined, vocabSize: number): number | undefined {
    let value = this.#fields.get(field);
    if (value === null) return undefined;
    if (Array.isArray(value) && value.length === 1) value = value[0];
    if (value === undefined) return fallback !== undefined && fallback < vocabSize ? fallback : undefined;
    const id = numberOf(value);
    if (id === undefined || !Number.isSafeInteger(id) || id < 0) throw this.error(field, 'one token id or null');
    return id < vocabSize ? id : undefined;
  }
}
