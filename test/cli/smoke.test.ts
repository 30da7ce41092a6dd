/** The whole way on this runtime with its fastest binaries; .ci/run repeats it on every supported Node. */
import { afterAll, expect, test } from 'vitest';
import { probeFeatures } from '../../src/runtime/probe.ts';
import { lastJson, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const fast = probeFeatures().relaxedSimd ? 'relaxed' : 'simd128';

test.each([
  ['1', fast],
  ['2', `${fast}-threads`],
])('train, generate and score with %s threads run %s', async (threads, binary) => {
  const out = folder.at(`model-${threads}`);
  const engine = ['--threads', threads, '--precision', 'fast', '--json'];
  const text = writeText(folder.at('text.txt'));
  const trained = await succeed(['train', '--data', text, '--out', out, ...TINY, '--steps', '120', ...engine]);
  expect(lastJson(trained.stdout)).toMatchObject({ step: 120, binary });
  expect(lastJson(trained.stdout).evalLoss).toBeLessThan(2.4);
  const generated = await succeed(['generate', out, '--prompt', 'the ', '--max-new-tokens', '8', ...engine]);
  expect(lastJson(generated.stdout)).toMatchObject({ binary, promptTokens: 4 });
  const scored = await succeed(['score', out, '--text', text, ...engine]);
  expect(lastJson(scored.stdout)).toMatchObject({ binary });
  expect(lastJson(scored.stdout).loss).toBeLessThan(2.4);
});
