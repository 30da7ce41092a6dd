/** The reference models that transformers wrote: they load, and their configurations survive a round trip. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { memoryDirectory, openDirectory } from '../../src/files/index.ts';
import { openSafetensors, openWeights, saveWeights } from '../../src/formats/index.ts';
import { matchTensors } from '../../src/models/match-tensors.ts';
import { blueprint } from '../../src/models/model.ts';
import { formatConfig, parseConfig } from '../../src/models/read-config.ts';
import { readBytes } from '../formats/read-tensor.ts';

const FOLDER = new URL('../fixtures/oracles/', import.meta.url);
const MODELS = ['gpt2-tiny', 'gpt2-odd', 'openai-gpt-tiny'] as const;

describe.each(MODELS)('%s', (model) => {
  const path = fileURLToPath(new URL(model, FOLDER));

  it('has the tensors that its config asks for', async () => {
    const directory = await openDirectory(path);
    const { family, config } = await parseConfig(await directory.readText('config.json'));
    const weights = await openWeights(directory);
    const match = matchTensors(weights, blueprint(family, config).parameters.list, family.names);
    expect(match.unexpected).toEqual(
      model === 'openai-gpt-tiny' ? ['multiple_choice_head.summary.bias', 'multiple_choice_head.summary.weight'] : [],
    );
    if (model === 'openai-gpt-tiny') {
      expect(match.found.get('transformer.tokens_embed.weight')).toBe('lm_head.weight');
    }
    await weights.close();
  });

  it('writes a config.json with the same fields', async () => {
    const text = await readFile(`${path}/config.json`, 'utf8');
    const { family, config } = await parseConfig(text);
    const { architectures, id2label, label2id, summary_first_dropout } = JSON.parse(text);
    const extra = { architectures, summary_first_dropout, ...(id2label ? { id2label, label2id } : {}) };
    expect(JSON.parse(formatConfig(family, config, extra))).toEqual(JSON.parse(text));
    expect(await parseConfig(formatConfig(family, config))).toEqual({ family, config });
  });

  it('is written again byte for byte as the Rust writer wrote it', async () => {
    const directory = await openDirectory(path);
    for (const file of ['model.safetensors', 'cases.safetensors']) {
      const weights = await openSafetensors(directory, file);
      const entries = await Promise.all(
        weights.names.toReversed().map(async (name) => {
          const bytes = await readBytes(weights, name);
          const { dtype, shape } = weights.info(name);
          return { name, dtype, shape, chunks: () => [bytes] };
        }),
      );
      const copy = memoryDirectory();
      await saveWeights(copy, entries, { metadata: Object.fromEntries(weights.metadata) });
      expect(Buffer.compare(await copy.readBytes('model.safetensors'), await directory.readBytes(file))).toBe(0);
      await weights.close();
    }
  });
});
