/** The config.json of a folder, for those who can wait: GPT-2's rules are at hand, other families' are loaded when needed. */
import type { Directory } from '../../files/directory.ts';
import { type Family, familyOf, type ModelFamily, type ParsedConfig, parseFields } from './family.ts';
import { ConfigFields } from './fields.ts';
import { gpt2Family } from './gpt2.ts';

const RULES: Record<ModelFamily, () => Family | Promise<Family>> = {
  gpt2: () => gpt2Family,
  'openai-gpt': async () => (await import('./openai-gpt.ts')).openAIGPTFamily,
};

/**
 * Reads a folder's config.json; as `parseConfig`.
 * @throws CheckpointError when it is not there.
 */
export async function readConfig(directory: Directory): Promise<ParsedConfig> {
  const fields = ConfigFields.parse(await directory.readText('config.json'), `${directory.name}/config.json`);
  const family = familyOf(fields);
  return parseFields(fields, family, await RULES[family]());
}
