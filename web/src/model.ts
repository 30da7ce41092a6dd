/** The model that Write and Look inside use: where it comes from, and who wants to know when there is another one. */
import {
  cachedDirectory,
  type Directory,
  EnvironmentError,
  fileListDirectory,
  loadModel,
  memoryDirectory,
  opfsDirectory,
  type TextModel,
  urlDirectory,
} from '../../src/index.ts';
import { byId, div, keepStorage, mebibytes, paragraph } from './dom.ts';

let current: TextModel | undefined;
/** Each opening has a number; only the newest one may become the model. */
let opening = 0;
const listeners: ((model: TextModel) => void)[] = [];
const progress = byId('model-progress', HTMLProgressElement);

/** The model, or undefined while there is none. */
export const model = (): TextModel | undefined => current;

/** Calls `listener` with every new model. */
export function onModel(listener: (model: TextModel) => void): void {
  listeners.push(listener);
}

async function open(name: string, source: () => Promise<Directory>): Promise<void> {
  const turn = ++opening;
  const label = paragraph('model-name');
  const before = label.textContent;
  label.textContent = `Opening ${name} …`;
  try {
    const opened = await loadModel(await source());
    if (turn !== opening) return opened.dispose();
    current?.dispose();
    current = opened;
    const { parameters, dtype, family, config } = opened.model;
    label.textContent =
      `${name}: ${parameters.count.toLocaleString('en')} parameters in ${dtype}, ${family.shapeOf(config)}, ` +
      `context ${config.blockSize}`;
    const { info } = opened.model.engine;
    paragraph('engine').textContent =
      `Engine: ${info.binary}, ${info.threads} thread${info.threads === 1 ? '' : 's'}. ${info.notes.join(' ')}`;
    for (const listener of listeners) listener(opened);
  } catch (error) {
    if (turn === opening) label.textContent = before;
    throw error;
  } finally {
    if (turn === opening) progress.hidden = true;
  }
}

/** The model that comes with the page. */
export function openBundled(): Promise<void> {
  const address = new URL('./model/', document.baseURI);
  return open('The bundled model (Moby-Dick)', async () => {
    const directory = memoryDirectory({}, address.href);
    for (const path of ['config.json', 'tokenizer.json', 'model.safetensors']) {
      const response = await fetch(new URL(path, address));
      if (!response.ok)
        throw new Error(`${path}: expected a file of this page, got HTTP ${response.status}. Reload the page.`);
      await directory.write(path, new Uint8Array(await response.arrayBuffer()));
    }
    return directory;
  });
}

/** Files that were picked or dropped. */
export function openFiles(files: Iterable<File>): Promise<void> {
  const list = [...files];
  const name = list[0]?.webkitRelativePath.split('/')[0] || 'your files';
  return open(name, async () => fileListDirectory(list));
}

/** A folder behind an address, downloaded once. */
export async function openAddress(address: string): Promise<void> {
  // A page of Hugging Face means its files.
  const url = address.replace(/^(https:\/\/huggingface\.co\/[^/]+\/[^/]+)\/?(tree\/main\/?)?$/, '$1/resolve/main');
  const opening = open(url, async () => {
    keepStorage();
    const store = await storeFor(url);
    if (!store) return urlDirectory(url);
    return cachedDirectory(url, {
      store,
      onProgress: ({ file, loadedBytes, totalBytes }) => {
        progress.hidden = false;
        if (totalBytes) progress.value = loadedBytes / totalBytes;
        const total = totalBytes === undefined ? '' : ` of ${mebibytes(totalBytes)}`;
        paragraph('model-name').textContent = `Downloading ${file}: ${mebibytes(loadedBytes)}${total}`;
      },
    });
  });
  // An interrupted download takes room too.
  await opening.finally(showKept);
}

/** Says how much was downloaded, where something was. */
export async function showKept(): Promise<void> {
  const models = await opfsDirectory('models').catch((error: unknown) => {
    if (!(error instanceof EnvironmentError)) throw error;
  });
  const names = (await models?.list()) ?? [];
  let bytes = 0;
  for (const name of names) {
    const cache = await (await models!.subdirectory(name.replace(/\/$/, ''))).readText('cache.json').catch(() => '{}');
    const { files = {} } = JSON.parse(cache) as { files?: Record<string, { size: number }> };
    for (const { size } of Object.values(files)) bytes += size;
  }
  div('model-kept').hidden = names.length === 0;
  byId('model-kept-text', HTMLSpanElement).textContent =
    `${names.length} downloaded ${names.length === 1 ? 'model is' : 'models are'} kept here: ${mebibytes(bytes)}.`;
}

/** Removes everything that was downloaded from an address. The model in use stays in memory. */
export async function forgetDownloads(): Promise<void> {
  const models = await opfsDirectory('models');
  for (const name of await models.list()) await models.remove(name.replace(/\/$/, ''));
  await showKept();
}

/** A folder of this page: what was trained here. */
export function openFolder(name: string, directory: Directory): Promise<void> {
  return open(name, async () => directory);
}

/** Where what comes from an address is kept, a folder for each; undefined in a browser that keeps nothing, as a private window. */
async function storeFor(url: string): Promise<Directory | undefined> {
  try {
    const models = await opfsDirectory('models');
    const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
    const name = Array.from(new Uint8Array(bytes).subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0'));
    return await models.subdirectory(name.join(''));
  } catch (error) {
    if (error instanceof EnvironmentError) return undefined;
    throw error;
  }
}
