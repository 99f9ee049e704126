/** The pages in a real browser: both languages, a narrow and a wide window, keyboard, no errors in the console. */

import { strict as assert } from 'node:assert';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import type { Browser } from 'playwright-core';
import { loadConfig } from '../src/config.ts';
import { bangla } from '../src/pages/bangla.ts';
import { english } from '../src/pages/english.ts';
import { buildPages } from '../src/pages/pages.ts';
import { openBrowser, withBrowser } from './browser.ts';
import { listen } from './listen.ts';

let browser: Browser;
let server: Server;
let origin = '';

before(async () => {
  const opened = await openBrowser();
  if (!opened) return;
  browser = opened;
  const pages = buildPages({
    config: loadConfig({}, ['openai']),
    origin: () => origin,
    demoKey: () => `sk-or-${'4fQ9bT7xLk2mVw8Z'.repeat(2)}`,
    ping: async () => {},
    metrics: {
      books: () => Promise.reject(new Error('no database here')),
      payments: () => Promise.reject(new Error('no database here')),
      routing: () => ({ keys: [], breakers: [], probes: [] }),
      inFlight: () => 0,
    },
    report: (error) => assert.fail(String(error)),
  });
  server = createServer(getRequestListener(pages.fetch));
  origin = `http://localhost:${await listen(server)}`;
});

after(async () => {
  await browser?.close();
  server?.close();
});

interface Visit {
  readonly path: string;
  readonly width?: number;
  readonly locale?: string;
  readonly dark?: boolean;
}

/** Opens a page, hands it over, and fails on anything that the browser complained about. */
async function visit(
  { path, width = 1440, locale = 'en-US', dark = false }: Visit,
  look: (page: Awaited<ReturnType<Browser['newPage']>>) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    locale,
    colorScheme: dark ? 'dark' : 'light',
  });
  try {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith('data:'))
        complaints.push(`asked for ${request.url()}`);
    });
    await page.goto(origin + path);
    await look(page);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

test(
  'the browser’s language chooses the text, and the link changes it for good',
  withBrowser,
  async () => {
    await visit({ path: '/', locale: 'bn-BD' }, async (page) => {
      assert.equal(await page.locator('h1').textContent(), bangla.tagline);
      assert.equal(await page.locator('html').getAttribute('lang'), 'bn');
      assert.ok((await page.locator('.notice').textContent())?.includes(bangla.sandboxClosed));
      await page.getByRole('link', { name: 'English' }).click();
      assert.equal(await page.locator('h1').textContent(), english.tagline);
      await page.goto(`${origin}/`);
      assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    });
  },
);

test(
  'nothing is wider than the window, narrow or wide, in both languages',
  withBrowser,
  async () => {
    for (const width of [320, 390, 1440])
      for (const path of ['/?lang=en', '/?lang=bn', '/docs?lang=en', '/docs?lang=bn'])
        await visit({ path, width }, async (page) => {
          const widest = await page.evaluate('document.documentElement.scrollWidth');
          assert.equal(widest, width, path);
        });
  },
);

test('the whole command can be copied with the keyboard alone', withBrowser, async () => {
  await visit({ path: '/' }, async (page) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.keyboard.press('Tab');
    const first = await page.evaluate('document.activeElement.textContent');
    assert.equal(first, english.skip);
    const button = page.getByRole('button', { name: english.copy });
    await button.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: english.copied }).waitFor();
    const copied = String(await page.evaluate('navigator.clipboard.readText()'));
    assert.ok(copied.startsWith(`curl ${origin}/v1/chat/completions \\\n`));
    assert.ok(copied.endsWith("'"));
  });
});

test('text stands out from its ground by 4.5 to 1, in light and dark', withBrowser, async () => {
  for (const dark of [false, true])
    await visit({ path: '/', dark }, async (page) => {
      const low = await page.evaluate(lowContrast);
      assert.deepEqual(low, [], dark ? 'dark' : 'light');
    });
});

/** Runs in the page: every visible text whose contrast with the nearest ground is below WCAG AA, with its ratio. */
const lowContrast = `(() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.body.querySelectorAll('*')].flatMap((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.matches('script, .skip')) return [];
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    return ratio < 4.5 ? [element.textContent.trim() + ': ' + ratio.toFixed(2)] : [];
  });
})()`;

test('headings step down one at a time and every page has its landmarks', withBrowser, async () => {
  for (const path of ['/', '/docs'])
    await visit({ path }, async (page) => {
      assert.equal(await page.locator('h1').count(), 1, path);
      assert.equal(await page.getByRole('main').count(), 1);
      assert.equal(await page.getByRole('banner').count(), 1);
      const levels = await page
        .locator('h1, h2, h3, h4')
        .evaluateAll((headings) => headings.map(({ tagName }) => Number(tagName.slice(1))));
      levels.reduce((before, level) => {
        assert.ok(level <= before + 1, `${path}: ${levels}`);
        return level;
      }, 0);
    });
});
