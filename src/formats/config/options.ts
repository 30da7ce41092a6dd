/** Rules for the options of a model: each is a check, and the text by which an error message describes what it accepts. */
import { ConfigError } from '../../errors.ts';

/** The name of an option in a message, such as `n_embd` for nEmbd in a config.json. */
export type NameOption = (option: string) => string;

/** A check of one option of a configuration C. */
export interface OptionRule<C> {
  isRight(value: unknown, config: C): boolean;
  /** What the value must be. */
  expected(config: C, nameOption: NameOption): string;
}

/** The rules of all options, checked in this order. */
export type OptionRules<C> = { readonly [K in keyof C]-?: readonly OptionRule<C>[] };

const isNumber = (value: unknown): value is number => typeof value === 'number';

/**
 * A rule: a whole number from `least` to `most`.
 * @param least the smallest number that is accepted
 * @param most the largest one. Default 2^53 − 1
 * @returns the rule
 * @example
 * const rules: OptionRules<Config> = { layers: [wholeNumber(1, 4096)], width: [wholeNumber(1, 2 ** 20), multipleOf('layers')] };
 */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): OptionRule<object> {
  return {
    isRight: (value) => Number.isInteger(value) && isNumber(value) && value >= least && value <= most,
    expected: () => `a whole number from ${least} to ${most}`,
  };
}

/**
 * A rule: a multiple of another option.
 * @param other the other option, whose rules come first
 * @returns the rule
 * @example
 * const width = [wholeNumber(1, 2 ** 20), multipleOf('heads')];
 */
export function multipleOf<K extends string>(other: K): OptionRule<{ readonly [P in K]: number }> {
  return {
    isRight: (value, config) => isNumber(value) && value % config[other] === 0,
    expected: (config, nameOption) => `a multiple of ${nameOption(other)} = ${config[other]}`,
  };
}

/**
 * A rule: one of some strings.
 * @param values the strings that are accepted
 * @returns the rule
 * @example
 * const activation = [oneOf('gelu-tanh', 'gelu-erf')];
 */
export function oneOf(...values: readonly string[]): OptionRule<object> {
  return {
    isRight: (value) => typeof value === 'string' && values.includes(value),
    expected: () => quotedList(values),
  };
}

/** `'a', 'b' or 'c'`. */
function quotedList(values: readonly string[]): string {
  const quoted = values.map((value) => `'${value}'`);
  const last = quoted.pop() ?? '';
  return quoted.length > 0 ? `${quoted.join(', ')} or ${last}` : last;
}

/**
 * A rule: a number from `least` to `most`.
 * @param least the smallest number that is accepted
 * @param most the largest one
 * @returns the rule
 * @example
 * const initializerRange = [numberBetween(0, 100)];
 */
export function numberBetween(least: number, most: number): OptionRule<object> {
  return {
    isRight: (value) => isNumber(value) && value >= least && value <= most,
    expected: () => `a number from ${least} to ${most}`,
  };
}

/** What is added to a variance: above 0 (in f32, as kernels see it) and at most 1. */
export const EPSILON: OptionRule<object> = {
  isRight: (value) => isNumber(value) && Math.fround(value) > 0 && value <= 1,
  expected: () => 'a number above 0 and at most 1',
};

/** A share of elements to drop: below 1 in f32. */
export const DROPOUT: OptionRule<object> = {
  isRight: (value) => isNumber(value) && value >= 0 && Math.fround(value) < 1,
  expected: () => 'a number from 0 to below 1',
};

/** A token id of the vocabulary, or none. */
export const TOKEN_ID: OptionRule<{ readonly vocabSize: number }> = {
  isRight: (value, { vocabSize }) =>
    value === undefined || (Number.isInteger(value) && isNumber(value) && value >= 0 && value < vocabSize),
  expected: ({ vocabSize }, nameOption) => `a token id below ${nameOption('vocabSize')} = ${vocabSize}`,
};

/** Some options of a configuration, without those that are undefined: these count as absent. */
export function definedOptions<C extends object>(options: { readonly [K in keyof C]?: C[K] | undefined }): Partial<C> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<C>;
}

/**
 * Checks every option of a complete configuration.
 * @param config the options; each may have any type.
 * @param where what the message names: a file, a function.
 * @param nameOption how the message calls an option. Default: as here.
 * @returns a frozen copy with exactly the options that have rules.
 * @throws ConfigError naming the option, its range and its value.
 */
export function checkOptions<C extends object>(
  rules: OptionRules<C>,
  config: C,
  where: string,
  nameOption: NameOption = (option) => option,
): C {
  const options = Object.keys(rules) as (keyof C & string)[];
  for (const option of options)
    for (const rule of rules[option])
      if (!rule.isRight(config[option], config))
        throw optionError(where, nameOption(option), rule.expected(config, nameOption), config[option]);
  const given = options.filter((option) => config[option] !== undefined).map((option) => [option, config[option]]);
  return Object.freeze(Object.fromEntries(given));
}

/**
 * Refuses options whose names are not known, since a misspelt one would be ignored.
 * @param known an object with all names: the rules of the options, or any other
 * @throws ConfigError naming it
 */
export function checkNames(known: object, options: object, where: string): void {
  for (const [option, value] of Object.entries(options))
    if (value !== undefined && !Object.hasOwn(known, option))
      throw new ConfigError(
        `${where}: expected one of ${Object.keys(known).join(', ')}, got ${option}. Check the spelling.`,
      );
}

/**
 * The error for an option that is missing or wrong.
 * @param where what the message names: a file, a function
 * @param option the name of the option in the message
 * @param expected what the option must be
 * @param value what it is
 * @param hint what to do. Default: change it
 * @returns the error, to be thrown
 * @example
 * throw optionError('config.json', 'activation', "'silu'", config.activation, 'Other activations are not supported.');
 */
export function optionError(
  where: string,
  option: string,
  expected: string,
  value: unknown,
  hint = `Change ${option}.`,
): ConfigError {
  return new ConfigError(`${where}: expected ${option} to be ${expected}, got ${show(value)}. ${hint}`);
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
