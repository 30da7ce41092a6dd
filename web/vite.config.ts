/** Builds the page into web/dist: relative addresses, so that it can be served from any folder; a strict CSP; a service worker. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Models may come from any address; scripts, styles and workers from here only. */
const CSP = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "worker-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function csp(): Plugin {
  return {
    name: 'csp',
    // Vite's own scripts and styles, while developing, are inline.
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: CSP }, injectTo: 'head-prepend' },
    ],
  };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => statSync(`${folder}/${name}`).isFile());
}

function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const hash = createHash('sha256');
        const built = Object.values(bundle).filter(({ fileName }) => !fileName.endsWith('.map'));
        for (const file of built) hash.update(file.fileName).update(file.type === 'chunk' ? file.code : file.source);
        const files = filesBelow(`${root}public`);
        for (const file of files) hash.update(file).update(readFileSync(`${root}public/${file}`));
        const names = ['./', ...built.map(({ fileName }) => fileName), ...files]
          .filter((name) => name !== 'index.html')
          .sort();
        const source = readFileSync(`${root}src/service-worker.js`, 'utf8')
          .replace('/* the list of files */ []', JSON.stringify(names))
          .replace('/* the version */', hash.digest('hex').slice(0, 16));
        this.emitFile({ type: 'asset', fileName: 'sw.js', source });
      },
    },
  };
}

export default defineConfig({
  root,
  base: './',
  build: {
    target: 'es2022',
    // Binaries and icons as files: data: addresses are not in the CSP.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    // The service worker stores everything when the page is first opened, so nothing is saved by loading parts on demand.
    rolldownOptions: { output: { codeSplitting: false } },
  },
  worker: { format: 'es' },
  plugins: [csp(), serviceWorker()],
});
