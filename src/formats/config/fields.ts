/** Typed access to the fields of a config.json: each reader returns a value of its type or throws ConfigError. */

import { ConfigError } from '../../errors.ts';
import { describeJsonValue, type JsonMap, JsonSyntaxError, type JsonValue, numberOf, parseJsonValue } from '../json.ts';
import type { GPTConfig } from './gpt-config.ts';
import { NAMES } from './plain-gpt2.ts';

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

type SharedOption = keyof typeof NAMES | 'bosTokenId' | 'eosTokenId';

/**
 * The options that the files of both families have, unchecked.
 * @param defaults what transformers takes where a field is absent
 * @param tokenId of the beginning and the end of a text
 */
export function sharedOptions(
  fields: ConfigFields,
  defaults: Pick<GPTConfig, keyof typeof NAMES>,
  tokenId?: number,
): Pick<GPTConfig, SharedOption> {
  const read = ([option, names]: [string, readonly string[]]) => [
    option,
    fields.number(names, defaults[option as keyof typeof NAMES]),
  ];
  const options = Object.fromEntries(Object.entries(NAMES).map(read)) as Pick<GPTConfig, keyof typeof NAMES>;
  const bosTokenId = fields.tokenId('bos_token_id', tokenId, options.vocabSize);
  const eosTokenId = fields.tokenId('eos_token_id', tokenId, options.vocabSize);
  return {
    ...options,
    ...(bosTokenId !== undefined && { bosTokenId }),
    ...(eosTokenId !== undefined && { eosTokenId }),
  };
}

/** What a file calls an option, by what its family alone calls it or else by the names of both. */
export function namesOf(own: Partial<Record<keyof GPTConfig, string>>): (option: keyof GPTConfig) => string {
  return (option) => own[option] ?? NAMES[option as keyof typeof NAMES]?.[0] ?? `${option.slice(0, 3)}_token_id`;
}
