/** The frame around every page: head, header, footer, style. No file besides the page itself is ever asked for. */

import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { Config } from '../config.ts';
import { type Language, textsOf } from './language.ts';
import { style } from './style.ts';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

/** Copies the command beside the button; without scripts the button stays hidden and nothing is missed. */
const script = `for (const button of document.querySelectorAll('button[data-copied]')) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard;
  button.onclick = async () => {
    await navigator.clipboard.writeText(button.closest('figure').querySelector('code').textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  };
}`;

const icon = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#006a4e"/><circle cx="16" cy="16" r="7" fill="#f4f1ea"/></svg>',
)}`;

const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Sent with every page and every other answer from here. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    `style-src ${digest(style)}`,
    `script-src ${digest(script)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

interface Page {
  readonly language: Language;
  readonly title: string;
  readonly sandbox: boolean;
  readonly main: Html;
  /** The same page in the other language; `?lang=…` where it is not said. */
  readonly languageLink?: string;
}

/** A whole page. */
function page({ language, title, sandbox, main, languageLink }: Page): Html {
  const texts = textsOf(language);
  const other = language === 'en' ? 'bn' : 'en';
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="${icon}">
<style>${raw(style)}</style>
</head>
<body>
<a class="skip" href="#main">${texts.skip}</a>
<header>
<a class="name" href="/" aria-label="${texts.home}"><span class="mark" aria-hidden="true"></span><span lang="en">AK AI CORE</span></a>
${sandbox ? html`<span class="badge">${texts.sandbox}</span>` : ''}
<nav aria-label="${texts.navigation}">
<a href="/docs">${texts.documentation}</a>
<a href="${languageLink ?? `?lang=${other}`}" hreflang="${other}" lang="${other}">${texts.otherLanguage}</a>
</nav>
</header>
<main id="main" tabindex="-1">
${main}
</main>
<script>${raw(script)}</script>
</body>
</html>`;
}

/** A page may depend on cookie and language, and show what is for one person only: no cache in between keeps it. */
export async function sendPage(
  c: Context,
  { mode }: Config,
  content: Omit<Page, 'sandbox'>,
): Promise<Response> {
  c.header('cache-control', 'private, no-cache');
  c.header('vary', 'accept, accept-language, cookie');
  return c.html(await page({ ...content, sandbox: mode === 'sandbox' }));
}

/** For a page with a form, which goes back to where it came from. */
export const formPolicy = securityHeaders['content-security-policy']?.replace(
  "form-action 'none'",
  "form-action 'self'",
);

/** A title and a sentence, and ways on. */
export function message(language: Language, title: string, sentence: string): Html {
  const texts = textsOf(language);
  return html`<div class="hero"><h1>${title}</h1><p>${sentence}</p></div>
<section><ul class="links"><li><a href="/">${texts.home}</a></li><li><a href="/docs">${texts.documentation}</a></li></ul></section>`;
}
