// Runs the TypeScript file argv[2] in this process: Node 20 cannot, but vite's module runner, which vitest brings, can.
import { runnerImport } from 'vite';

await runnerImport(/** @type {string} */ (process.argv[2]), { configFile: false, logLevel: 'silent' });
