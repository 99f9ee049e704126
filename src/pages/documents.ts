/** The documentation: every docs/*.md of this checkout, rendered once at first use. */

import { readdir, readFile } from 'node:fs/promises';
import { Marked } from 'marked';

export interface Document {
  readonly slug: string;
  readonly title: string;
  /** HTML. The texts are part of this program, and the pages' policy runs no script in them. */
  readonly body: string;
}

const folder = new URL('../../docs/', import.meta.url);
/** The address in the written examples; readers of an installation get its own in its place, but where a setting is explained by it. */
const publishedOrigin = 'https://akaicore.space';
/** The order for a reader who begins at the beginning; pages that are not named here follow by title. */
const order = [
  'quickstart',
  'authentication',
  'chat-completions',
  'translation',
  'repeat-and-resume',
  'models',
  'routing',
  'quote',
  'wallet',
  'top-up',
  'auto-topup',
  'vouchers',
  'alerts',
  'limits',
  'receipts',
  'own-keys',
  'accounts',
  'errors',
  'self-hosting',
  'books',
  'command-line',
  'settings',
];

/**
 * Reads and renders the folder.
 * @param origin of the installation as readers reach it, such as http://localhost:3000
 */
export async function readDocuments(origin: string): Promise<Document[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.md'));
  const documents = await Promise.all(
    names.map(async (name) => {
      const markdown = await readFile(new URL(name, folder), 'utf8');
      const own = markdown.replace(/^(?!.*PUBLIC_URL).+$/gm, (line) =>
        line.replaceAll(publishedOrigin, origin),
      );
      return renderDocument(name.slice(0, -3), own);
    }),
  );
  const place = ({ slug }: Document) => (order.includes(slug) ? order.indexOf(slug) : order.length);
  return documents.sort(
    (one, other) => place(one) - place(other) || one.title.localeCompare(other.title),
  );
}

/** One document; its title is its first heading. */
export function renderDocument(slug: string, markdown: string): Document {
  const title = /^#\s+(.+)$/m.exec(markdown)?.[1]?.replaceAll('`', '').trim() ?? slug;
  const seen = new Map<string, number>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${anchor(text, seen)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      codespan({ text }) {
        // Long addresses may go to the next line where a person would break them.
        return `<code>${escapeAttribute(text).replace(/(?<=[^\s/])\/(?=[\w:.])/g, '/<wbr>')}</code>`;
      },
      link({ href, tokens }) {
        const target = href.replace(/^(?:\.\/)?([\w-]+)\.md(?=#|$)/, '/docs/$1');
        return `<a href="${escapeAttribute(target)}">${this.parser.parseInline(tokens)}</a>`;
      },
    },
  });
  const rendered = marked
    .parse(markdown, { async: false })
    // What scrolls sideways must be reachable by keyboard.
    .replaceAll('<pre>', '<pre tabindex="0">')
    .replaceAll('<table>', '<div class="wide" tabindex="0"><table>')
    .replaceAll('</table>', '</table></div>');
  return { slug, title, body: rendered };
}

/** `Error codes` → `error-codes`, a second one → `error-codes-1`. */
function anchor(text: string, seen: Map<string, number>): string {
  const stem = text
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}\s-]/gu, '')
    .trim()
    .replace(/\s+/g, '-');
  const times = seen.get(stem) ?? 0;
  seen.set(stem, times + 1);
  return times === 0 ? stem : `${stem}-${times}`;
}

function escapeAttribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
