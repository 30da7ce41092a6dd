/** Debian's Chromium, by playwright-core, and Firefox, by puppeteer-core over WebDriver BiDi, behind what both can do. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

/** Tests wait for what they want to see. Firefox's driver once waited 30 s for the load event of a page that its service worker gave. */
const NAVIGATION = { waitUntil: 'domcontentloaded' } as const;

/** A page in some browser. */
export interface Tab {
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  click(selector: string): Promise<void>;
  press(key: string): Promise<void>;
  focus(selector: string): Promise<void>;
  /** Sets the value of a control, and says so to the page. */
  fill(selector: string, value: string): Promise<void>;
  /** Runs an expression in the page. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression is true in the page. */
  until(expression: string, seconds?: number): Promise<void>;
  resize(width: number, height: number, scheme: 'light' | 'dark'): Promise<void>;
  screenshot(path: string): Promise<void>;
  /** Gives files to a file input. Undefined where the driver cannot. */
  readonly pick?: (selector: string, path: string) => Promise<void>;
  /** What the page complained of so far. */
  readonly complaints: string[];
  close(): Promise<void>;
}

export interface BrowserKind {
  readonly name: string;
  /** Why it cannot be started here; undefined where it can. */
  readonly missing: string | undefined;
  open(): Promise<Tab>;
}

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

const missing = (path: string, variable: string, name: string) =>
  existsSync(path) ? undefined : `no ${path}: apt-get install ${name}, or set ${variable} to another one`;

/** What the page shows of its state, for messages. */
const STATE = `JSON.stringify({
  url: location.href,
  focus: document.activeElement?.id,
  texts: Object.fromEntries([...document.querySelectorAll(
    '#error-text, #model-name, #engine, #write-speed, #train-status, #train-estimate, #benchmark-status')].map(({ id, textContent }) => [id, textContent])),
  disabled: [...document.querySelectorAll('button[id]:disabled')].map(({ id }) => id).join(),
  tokens: document.querySelectorAll('#output .t').length,
  controller: navigator.serviceWorker.controller?.state,
})`;

/** Polls in the page: the drivers' own waiting differs. */
async function until(
  evaluate: (expression: string) => Promise<unknown>,
  expression: string,
  seconds = 60,
): Promise<void> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    if (await evaluate(expression)) return;
    if (Date.now() > end) {
      throw new Error(`expected ${expression} within ${seconds} s; the page says: ${await evaluate(STATE)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const setValue = (selector: string, value: string) => `(() => {
  const control = document.querySelector(${JSON.stringify(selector)});
  control.value = ${JSON.stringify(value)};
  for (const type of ['input', 'change']) control.dispatchEvent(new Event(type, { bubbles: true }));
})()`;

async function openChromium(): Promise<Tab> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', ({ message }) => complaints.push(message));
  const evaluate = <T>(expression: string) => page.evaluate<T>(expression);
  return {
    complaints,
    evaluate,
    goto: async (url) => void (await page.goto(url, NAVIGATION)),
    reload: async () => void (await page.reload(NAVIGATION)),
    click: (selector) => page.click(selector),
    press: (key) => page.keyboard.press(key),
    focus: (selector) => page.focus(selector),
    fill: (selector, value) => evaluate(setValue(selector, value)),
    until: (expression, seconds) => until(evaluate, expression, seconds),
    async resize(width, height, scheme) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme: scheme });
    },
    screenshot: async (path) => void (await page.screenshot({ path, type: 'jpeg', quality: 60 })),
    pick: (selector, path) => page.setInputFiles(selector, path),
    close: () => browser.close(),
  };
}

async function openFirefox(): Promise<Tab> {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: FIREFOX, headless: true });
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  const evaluate = <T>(expression: string) => page.evaluate(expression) as Promise<T>;
  return {
    complaints,
    evaluate,
    goto: async (url) => void (await page.goto(url, NAVIGATION)),
    reload: async () => void (await page.reload(NAVIGATION)),
    click: (selector) => page.click(selector),
    press: (key) => page.keyboard.press(key as 'Enter'),
    focus: (selector) => page.focus(selector),
    fill: (selector, value) => evaluate(setValue(selector, value)),
    until: (expression, seconds) => until(evaluate, expression, seconds),
    // Firefox has no emulation of colour schemes over BiDi: it shows what the machine prefers.
    resize: (width, height) => page.setViewport({ width, height }),
    screenshot: async (path) =>
      void (await page.screenshot({ path: path as `${string}.jpg`, type: 'jpeg', quality: 60 })),
    close: () => browser.close(),
  };
}

export const BROWSERS: readonly BrowserKind[] = [
  { name: 'Chromium', missing: missing(CHROMIUM, 'CHROMIUM', 'chromium'), open: openChromium },
  { name: 'Firefox', missing: missing(FIREFOX, 'FIREFOX', 'firefox-esr'), open: openFirefox },
];
