/** The front page, and the line that tries the installation out, which `serve` prints too. */

import { html } from 'hono/html';
import type { Document } from './documents.ts';
import type { Html } from './frame.ts';
import { fill, type Language, textsOf } from './language.ts';

const example =
  '{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hello from AK AI CORE"}]}';

/**
 * A command that asks a model something.
 * @param baseUrl of the API, without a slash at the end
 * @param separator between the parts: a space for one line, a backslash and a line break for reading
 */
export function curlCommand(baseUrl: string, key: string, separator = ' '): string {
  return [
    `curl ${baseUrl}/chat/completions`,
    `-H "Authorization: Bearer ${key}"`,
    '-H "Content-Type: application/json"',
    `-d '${example}'`,
  ].join(separator);
}

interface Home {
  readonly language: Language;
  readonly baseUrl: string;
  readonly sandbox: boolean;
  /** Names of the providers that are reached for real. */
  readonly realProviders: readonly string[];
  readonly demoKey: string | null;
  readonly modelCount: number;
  readonly documents: readonly Document[];
}

const code = (text: string) => html`<code lang="en" translate="no">${text}</code>`;

function command(text: string, labels: { command: string; copy: string; copied: string }): Html {
  return html`<figure><figcaption>${labels.command}</figcaption><pre><code lang="en" translate="no">${text}</code></pre><button type="button" data-copied="${labels.copied}" aria-live="polite" hidden>${labels.copy}</button></figure>`;
}

/** The content of the front page. */
export function home(view: Home): Html {
  const texts = textsOf(view.language);
  const count = new Intl.NumberFormat(view.language === 'bn' ? 'bn-BD' : 'en').format(
    view.modelCount,
  );
  const [before = '', after = ''] = texts.modelsText.split('{path}');
  return html`<div class="hero">
<h1>${texts.tagline}</h1>
<p>${texts.lead}</p>
</div>
${view.sandbox ? notice(view) : ''}
<section aria-labelledby="try">
<h2 id="try">${texts.tryIt}</h2>
<p>${view.demoKey ? texts.pasteDemo : texts.pasteOwn}</p>
${command(curlCommand(view.baseUrl, view.demoKey ?? 'YOUR_API_KEY', ' \\\n  '), texts)}
${view.demoKey ? '' : ownKey(view.language)}
</section>
<div class="facts">
<div><h2>${texts.baseUrl}</h2><p class="value">${code(view.baseUrl)}</p><p>${texts.baseUrlText}</p></div>
<div><h2>${fill(texts.models, { count })}</h2><p>${before}${code('/v1/models')}${after}</p></div>
<div><h2>${texts.charge}</h2><p>${texts.chargeText}</p></div>
</div>
${
  view.documents.length === 0
    ? ''
    : html`<section aria-labelledby="docs">
<h2 id="docs">${texts.readMore}</h2>
<ul class="links" lang="en">${view.documents.map(
        (document) => html`<li><a href="/docs/${document.slug}">${document.title}</a></li>`,
      )}</ul>
</section>`
}`;
}

function notice({ language, realProviders }: Home): Html {
  const texts = textsOf(language);
  const sentence =
    realProviders.length === 0
      ? texts.sandboxClosed
      : fill(texts.sandboxOpen, { providers: realProviders.join(', ') });
  return html`<p class="notice"><strong>${texts.sandbox}:</strong> ${sentence}</p>`;
}

function ownKey(language: Language): Html {
  const texts = textsOf(language);
  return html`<p>${texts.makeKey}</p>
${command(
  [
    'npm run -s akai -- user create --email you@example.com --password "a long password"',
    'npm run -s akai -- wallet credit --email you@example.com --usd 5',
    'npm run -s akai -- key create --email you@example.com --name first',
  ].join('\n'),
  texts,
)}`;
}
