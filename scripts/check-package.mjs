// `npm run test:package`: installs the packed tarball in an empty folder, as a user would, and uses it: imports, types, training,
// generation; then bundlers (check-bundlers.mjs) and sizes (check-sizes.mjs).
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkBundlers } from './check-bundlers.mjs';
import { checkSizes } from './check-sizes.mjs';
import { root } from './prepare.mjs';

const folder = mkdtempSync(join(tmpdir(), 'lanewise-package-'));
/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} [cwd]
 */
function run(command, args, cwd = folder) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

try {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root),
  );
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--omit=dev', `./${filename}`]);

  const program = `import { type CausalLM, causalLanguageModel, createModel, Trainer, loadModel, memoryDirectory, tokenDataset, trainTokenizer } from 'lanewise';
import { tokenizerFromJSON } from 'lanewise/tokenizer';
const text: string = 'the whale and the sea. '.repeat(40);
const tokenizer = tokenizerFromJSON((await trainTokenizer(text, { kind: 'char' })).toJSON());
const model: CausalLM = await createModel('gpt2', { nLayer: 1, nHead: 1, nEmbd: 16, blockSize: 16, vocabSize: tokenizer.vocabSize });
const trainer = new Trainer(causalLanguageModel(model), tokenDataset(tokenizer.encode(text)), { batchSize: 4, steps: 150, learningRate: 0.01 });
for await (const { step, loss } of trainer.run()) if (step === 150 && !(loss < 0.5)) throw new Error(\`loss \${loss}\`);
const folder = memoryDirectory();
await model.save(folder, { tokenizer });
model.dispose();
const gpt = await loadModel(folder, { threads: 1 });
const { text: written, promptTokens } = await gpt.complete('the whale', { maxNewTokens: 8, temperature: 0 });
if (written !== ' and the' || promptTokens !== 9) throw new Error(JSON.stringify(written));
gpt.dispose();
`;
  writeFileSync(join(folder, 'program.ts'), program);
  // A family of another package: that of the tests, which imports one module.
  const family = readFileSync(join(root, 'test/models/toy-family/family.ts'), 'utf8');
  writeFileSync(join(folder, 'family.ts'), family.replace('../../../src/family.ts', 'lanewise/family'));
  const useFamily = `import { loadModel, memoryDirectory, trainTokenizer } from 'lanewise';
import { createModelOf, registerFamily } from 'lanewise/family';
import { toy } from './family.js';
registerFamily('toy', { modelType: 'toy', sizes: {}, load: async () => toy });
const tokenizer = await trainTokenizer('the whale and the sea', { kind: 'char' });
const model = await createModelOf(toy, { vocabSize: tokenizer.vocabSize, width: 16 }, { threads: 1 });
const folder = memoryDirectory();
await model.save(folder, { tokenizer });
model.dispose();
const text = await loadModel(folder, { threads: 1 });
const { tokenIds } = await text.complete('the whale', { maxNewTokens: 8, seed: 1 });
if (tokenIds.length !== 8) throw new Error(tokenIds.join());
text.dispose();
`;
  writeFileSync(join(folder, 'use-family.ts'), useFamily);
  // The types stand on their own: no other library, nothing skipped.
  run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--strict', '--module', 'NodeNext', '--target', 'ES2022', '--lib', 'ES2023,DOM,DOM.Iterable,ESNext.Disposable'],
    ...['--types', '', '--outDir', 'built', 'program.ts', 'use-family.ts'],
  ]);
  run(process.execPath, ['built/program.js']);
  run(process.execPath, ['built/use-family.js']);

  writeFileSync(
    join(folder, 'text.txt'),
    'Call me Ishmael. Some years ago - never mind how long precisely. '.repeat(30),
  );
  const lanewise = join(folder, 'node_modules/.bin/lanewise');
  const tiny = ['--tokenizer', 'char', '--layers', '1', '--heads', '2', '--width', '32', '--context', '32'];
  run(lanewise, ['train', '--data', 'text.txt', '--out', 'model', ...tiny, '--steps', '150', '--lr', '0.01', '--json']);
  const line = run(lanewise, ['generate', 'model', '--prompt', 'Call me', '--temperature', '0', '--json']);
  const { text } = JSON.parse(line);
  if (!text.startsWith(' Ishmael.'))
    throw new Error(`expected the installed command to continue "Call me", got ${line}`);
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'node_modules/lanewise/package.json'), 'utf8'));
  console.log(
    `${filename}: installs with ${Object.keys(dependencies).join(', ')}; imports, types, training, generation work.`,
  );
  await checkBundlers(folder, join(folder, filename));
  await checkSizes(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
