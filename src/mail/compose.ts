/** The form of every mail: a greeting, a few sentences, perhaps one link; as plain text, and as HTML that any program shows. */

import type { Content, Language } from './outbox.ts';

export interface Letter {
  readonly subject: string;
  /** Sentences, a paragraph each. */
  readonly paragraphs: readonly string[];
  readonly link?: { readonly label: string; readonly url: string };
  /** Facts in two columns, such as amount and time. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
  /** In small letters at the end. */
  readonly note?: string;
}

const signature: Readonly<Record<Language, string>> = {
  en: 'AK AI CORE. You cannot answer this mail.',
  bn: 'AK AI CORE। এই মেইলের উত্তর দেওয়া যাবে না।',
};

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** @param sandbox says so in the subject and above the text */
export function compose(language: Language, letter: Letter, sandbox = false): Content {
  const { paragraphs, link, facts = [], note } = letter;
  const mark = language === 'bn' ? 'স্যান্ডবক্স: টাকা আসল নয়।' : 'Sandbox: this is not about real money.';
  const subject = `${sandbox ? '[Sandbox] ' : ''}${letter.subject}`;
  const text = [
    ...(sandbox ? [mark] : []),
    ...paragraphs,
    ...(facts.length > 0 ? [facts.map(([name, value]) => `${name}: ${value}`).join('\n')] : []),
    ...(link ? [`${link.label}:\n${link.url}`] : []),
    ...(note ? [note] : []),
    `-- \n${signature[language]}`,
  ].join('\n\n');
  const rows = facts.map(
    ([name, value]) =>
      `<tr><td style="padding:4px 16px 4px 0;color:#55605a">${escaped(name)}</td><td style="padding:4px 0">${escaped(value)}</td></tr>`,
  );
  const small = 'color:#55605a;font-size:14px';
  const html = [
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(subject)}</title></head>`,
    '<body style="margin:0;padding:24px;background:#faf8f4;color:#1b211e;font:16px/1.6 sans-serif">',
    '<div style="max-width:34em;margin:0 auto">',
    '<p style="font-weight:bold;letter-spacing:.02em;color:#006a4e">AK AI CORE</p>',
    sandbox
      ? `<p style="background:#fff4d6;color:#6b4700;padding:8px 12px;border-radius:8px">${escaped(mark)}</p>`
      : '',
    ...paragraphs.map((paragraph) => `<p>${escaped(paragraph)}</p>`),
    rows.length > 0 ? `<table style="border-collapse:collapse">${rows.join('')}</table>` : '',
    link
      ? `<p style="margin:24px 0"><a href="${escaped(link.url)}" style="background:#006a4e;color:#ffffff;padding:12px 20px;border-radius:8px;text-decoration:none;display:inline-block">${escaped(link.label)}</a></p><p style="${small};overflow-wrap:anywhere">${escaped(link.url)}</p>`
      : '',
    note ? `<p style="${small}">${escaped(note)}</p>` : '',
    `<p style="${small};border-top:1px solid #dfdbd1;padding-top:12px;margin-top:32px">${escaped(signature[language])}</p>`,
    '</div></body></html>',
  ].join('');
  return { subject, text, html };
}
