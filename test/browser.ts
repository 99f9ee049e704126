/** A Chromium for tests: the one inside the npm package on Linux x64, an installed one elsewhere. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const installed = [
  '/usr/bin/google-chrome',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Null where this machine has none. */
async function findBrowser(): Promise<string | null> {
  if (process.platform === 'linux' && process.arch === 'x64') {
    const packed = (await import('@sparticuz/chromium')).default;
    return packed.executablePath();
  }
  return installed.find((path) => existsSync(path)) ?? null;
}

const executable = await findBrowser();

/** For tests that need a browser: they say why where they are skipped. */
export const withBrowser = executable
  ? {}
  : { skip: 'no Chromium for this machine: install Google Chrome' };

/** Null where this machine has none. The caller closes it. */
export async function openBrowser(): Promise<Browser | null> {
  if (!executable) return null;
  // Root may not use Chromium's sandbox; the only pages that it opens here are our own.
  return chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu'] });
}
