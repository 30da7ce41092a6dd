/** Dropping: a text file onto Train, a model folder or its files onto anything else. */
import { attempt, div, paragraph } from './dom.ts';

/** All files of what was dropped, those of folders with their path. */
async function filesOf(transfer: DataTransfer): Promise<File[]> {
  // Entries must be taken before the event ends.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  // Where there are no entries, there are no folders either.
  if (!entries.every((entry) => entry !== null)) return [...transfer.files];
  return (await Promise.all(entries.map(filesBelow))).flat();
}

async function filesBelow(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    // As if it had been picked with its folder.
    if (entry.fullPath.lastIndexOf('/') > 0)
      Object.defineProperty(file, 'webkitRelativePath', { value: entry.fullPath.slice(1) });
    return [file];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // Gives up to a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    files.push(...(await Promise.all(some.map(filesBelow))).flat());
  }
}

/**
 * Takes what is dropped anywhere on the page.
 * @param wantsText whether a text is what is wanted now
 */
export function startDrop(
  wantsText: () => boolean,
  onText: (file: File) => Promise<void>,
  onModelFiles: (files: File[]) => Promise<void>,
): void {
  const cover = div('drop');
  addEventListener('dragover', (event) => {
    event.preventDefault();
    paragraph('drop-text').textContent = wantsText() ? 'Drop a text file' : 'Drop a model folder or its files';
    cover.hidden = false;
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) cover.hidden = true;
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    cover.hidden = true;
    const { dataTransfer } = event;
    if (!dataTransfer) return;
    attempt(async () => {
      const files = await filesOf(dataTransfer);
      const [first] = files;
      if (first && files.length === 1 && (wantsText() || /\.(txt|md)$/i.test(first.name))) await onText(first);
      else await onModelFiles(files);
    });
  });
}
