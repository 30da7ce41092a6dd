/** Elements of the page: finding, making, saying what went wrong. */

/** The element of an id in index.html, of the class that it has there. */
export function byId<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html: expected a ${type.name} with id ${id}, got ${found}.`);
  return found;
}

export const button = (id: string) => byId(id, HTMLButtonElement);
export const input = (id: string) => byId(id, HTMLInputElement);
export const textarea = (id: string) => byId(id, HTMLTextAreaElement);
export const div = (id: string) => byId(id, HTMLDivElement);
export const paragraph = (id: string) => byId(id, HTMLParagraphElement);

/** Makes an element with text or children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Thrown, and given as the reason of signals, when a visitor stops something: no error. */
export class Stopped extends Error {}

/** Shows an error as a sentence or two; messages of the library already are. */
export function showError(error: unknown): void {
  if (error instanceof Stopped) return;
  console.error(error);
  byId('error-text', HTMLSpanElement).textContent = error instanceof Error ? error.message : String(error);
  const box = div('error');
  box.hidden = false;
  box.scrollIntoView({ block: 'nearest' });
}

export function clearError(): void {
  div('error').hidden = true;
}

/** Runs what a button or form started; what it throws is shown. */
export function attempt(work: () => Promise<unknown>): void {
  clearError();
  work().catch(showError);
}

/** Offers bytes as a file to keep. */
export function download(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = element('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Asks the browser not to empty this page's storage. Nobody waits for the answer: Firefox asks the visitor. */
export function keepStorage(): void {
  navigator.storage?.persist?.().catch(console.warn);
}

/** Lets the browser draw. */
export const nextFrame = () =>
  new Promise<void>((resolve) => {
    // A hidden tab draws no frames.
    if (document.hidden) setTimeout(resolve, 0);
    else requestAnimationFrame(() => resolve());
  });

/** A token as it is shown where spaces matter. */
export const visible = (text: string) => text.replaceAll('\n', '⏎').replaceAll(' ', '␣') || '∅';

export const percent = (share: number) => `${share >= 0.0995 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`;

export function mebibytes(bytes: number): string {
  const size = bytes / 2 ** 20;
  return `${size >= 10 ? Math.round(size).toLocaleString('en') : size.toFixed(1)} MiB`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} seconds`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${(seconds / 3600).toFixed(1)} hours`;
}
