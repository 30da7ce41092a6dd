/** The config.json of a folder, for those who can wait: the usual GPT-2's is at hand, what reads others is loaded when needed. */
import type { Directory } from '../../files/directory.ts';
import type { ParsedConfig } from './family.ts';
import { readPlainGPT2 } from './plain-gpt2.ts';

/**
 * Reads a folder's config.json; as `parseConfig`.
 * @throws CheckpointError when it is not there.
 */
export async function readConfig(directory: Directory): Promise<ParsedConfig> {
  const text = await directory.readText('config.json');
  const usual = readPlainGPT2(text);
  if (usual) return usual;
  const { parseConfig } = await import('./parse-config.ts');
  return parseConfig(text, `${directory.name}/config.json`);
}
