/** The options of a GPT, checked one by one, with messages that name the option, its range and its value. */
import { ConfigError } from '../../errors.ts';
import { frozenConfig, type GPTConfig, MAXIMA, obeys, RULES } from './gpt-config.ts';

/** What an option is called in the messages, such as `n_embd` for nEmbd in a config.json. */
export type NameOption = (option: keyof GPTConfig) => string;

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** The error for an option that is missing or wrong. */
export function configError(
  where: string,
  option: string,
  expected: string,
  value: unknown,
  hint?: string,
): ConfigError {
  return new ConfigError(
    `${where}: expected ${option} to be ${expected}, got ${show(value)}. ${hint ?? `Change ${option}.`}`,
  );
}

/**
 * Checks every option of a complete configuration.
 * @param config the options; values of any type are survived.
 * @param where what the message names: a file, a function. Default 'GPTConfig'.
 * @param nameOption how the message calls an option. Default: as here.
 * @returns a frozen copy with exactly the options of `GPTConfig`.
 * @throws ConfigError naming the option, its range and its value.
 */
export function checkGPTConfig(
  config: GPTConfig,
  where = 'GPTConfig',
  nameOption: NameOption = (option) => option,
): GPTConfig {
  const expected: readonly ((option: keyof GPTConfig) => string)[] = [
    (option) => `a whole number from 1 to ${MAXIMA[option as keyof typeof MAXIMA]}`,
    () => `a multiple of ${nameOption('nHead')} = ${config.nHead}`,
    () => "'gelu-tanh' or 'gelu-erf'",
    () => 'a number above 0 and at most 1',
    () => 'a number from 0 to below 1',
    () => 'a number from 0 to 100',
    () => `a token id below ${nameOption('vocabSize')} = ${config.vocabSize}`,
  ];
  for (const [index, rule] of RULES.entries())
    for (const option of rule[0])
      if (!obeys(config, rule, option))
        throw configError(where, nameOption(option), expected[index]!(option), config[option]);
  return frozenConfig(config);
}
