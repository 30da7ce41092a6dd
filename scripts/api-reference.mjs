// `npm run docs:api`: writes the API reference from the doc comments of src/ to docs/api/reference/, as Markdown. The folder is not
// part of the repository; that the comments are complete is checked by test/docs/api.test.ts. TypeDoc needs the API of TypeScript 5,
// so both are installed outside of the project.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './prepare.mjs';
import { toolFolder } from './tools.mjs';

const tools = toolFolder('typedoc', ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@5.9.3']);
const out = join(root, 'docs/api/reference');
execFileSync(
  process.execPath,
  [
    join(tools, 'node_modules/typedoc/bin/typedoc'),
    ...['--plugin', join(tools, 'node_modules/typedoc-plugin-markdown/dist/index.js')],
    ...['src/index.ts', 'src/family.ts', 'src/tokenizer/index.ts'].flatMap((entry) => ['--entryPoints', entry]),
    ...['--tsconfig', 'tsconfig.json'],
    ...['--readme', 'none', '--name', 'lanewise', '--disableSources', '--hidePageHeader', 'true', '--out', out],
    ...['--skipErrorChecking', '--excludeInternal', '--excludePrivate', '--validation.notExported', 'false'],
  ],
  { cwd: root, stdio: 'inherit' },
);
console.log(`${out}/README.md`);
