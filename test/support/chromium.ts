/** Debian's Chromium for tests, driven by playwright-core; `CHROMIUM` names another one. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const path = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why tests in Chromium cannot run here, for the names of skipped tests; undefined where they can. */
export const chromiumMissing = existsSync(path)
  ? undefined
  : `no ${path}: apt-get install chromium, or set CHROMIUM to another one`;

/** Starts it; as root it needs --no-sandbox. */
export function launchChromium(...args: string[]): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: ['--no-sandbox', ...args] });
}
