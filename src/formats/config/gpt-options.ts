/** The options of a new GPT: any of its configuration, completed with defaults. */
import { ConfigError } from '../../errors.ts';
import { checkGPTConfig } from './check-config.ts';
import { GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';

/** Some options of a GPT; the others take their defaults. */
export type GPTOptions = { readonly [K in keyof GPTConfig]?: GPTConfig[K] | undefined };

/**
 * Completes options with the defaults of GPT-2 small and checks them.
 * @param options any of `GPTConfig`; unknown names are refused, since a misspelt one would be ignored.
 * @param where what the message names. Default 'GPTConfig'.
 * @returns the complete configuration, frozen.
 * @throws ConfigError naming the option, its range and its value.
 */
export function completeGPTConfig(options: GPTOptions = {}, where = 'GPTConfig'): GPTConfig {
  const known = new Set([...Object.keys(GPT_DEFAULTS), 'nInner', 'bosTokenId', 'eosTokenId']);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [option] of given) {
    if (!known.has(option)) {
      throw new ConfigError(`${where}: expected one of ${[...known].join(', ')}, got ${option}. Check the spelling.`);
    }
  }
  const merged = { ...GPT_DEFAULTS, ...Object.fromEntries(given) } as GPTConfig;
  return checkGPTConfig({ ...merged, nInner: merged.nInner ?? 4 * merged.nEmbd }, where);
}
