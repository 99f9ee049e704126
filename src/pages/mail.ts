/** The outbox of a sandbox, for who sits at its machine: mails that are sent to nobody, with links that work. */

import type { Context, Hono } from 'hono';
import { html, raw } from 'hono/html';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { isUuid } from '../ids.ts';
import {
  type Attachment,
  attachmentsOf,
  findMail,
  type KeptMail,
  latestMails,
} from '../mail/outbox.ts';
import { type Html, sendPage } from './frame.ts';
import { fill, type Language, textsOf, visitorLanguage } from './language.ts';
import { isFromThisMachine } from './metrics.ts';

const mostShown = 100;
/** A mail brings its style along, and nothing else. */
const mailPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-top-navigation";

export function addMailPages(
  app: Hono,
  site: { readonly config: Config; readonly sql: Sql },
): void {
  const { config, sql } = site;
  const find = async (c: Context): Promise<KeptMail | null> => {
    const id = c.req.param('id') ?? '';
    return isFromThisMachine(c, config) && isUuid(id) ? findMail(sql, id) : null;
  };
  app.get('/sandbox/mail', async (c) => {
    if (!isFromThisMachine(c, config)) return c.notFound();
    const language = visitorLanguage(c);
    const main = list(language, await latestMails(sql, mostShown), config.smtpUrl !== '');
    return sendPage(c, config, { language, title: textsOf(language).mailTitle, main });
  });
  app.get('/sandbox/mail/:id', async (c) => {
    const mail = await find(c);
    if (!mail) return c.notFound();
    const language = visitorLanguage(c);
    const attached = await attachmentsOf(sql, mail.id);
    const main = letter(language, mail, attached);
    return sendPage(c, config, { language, title: mail.subject, main });
  });
  app.get('/sandbox/mail/:id/attached/:place', async (c) => {
    const mail = await find(c);
    const attached = mail && (await attachmentsOf(sql, mail.id))[Number(c.req.param('place'))];
    if (!attached) return c.notFound();
    c.header('content-type', attached.type);
    c.header(
      'content-disposition',
      `attachment; filename*=UTF-8''${encodeURIComponent(attached.name)}`,
    );
    return c.body(new Uint8Array(attached.content));
  });
  app.get('/sandbox/mail/:id/html', async (c) => {
    const mail = await find(c);
    if (!mail) return c.notFound();
    c.header('content-security-policy', mailPolicy);
    return c.html(mail.html);
  });
}

function aboutOf(language: Language, { to, createdAt, sentAt, failure }: KeptMail): string {
  const texts = textsOf(language);
  const when = createdAt.toLocaleString(language === 'bn' ? 'bn-BD' : 'en-GB', {
    timeZone: 'Asia/Dhaka',
    dateStyle: 'medium',
    timeStyle: 'short',
  });
  const state = sentAt ? texts.mailSent : failure ? fill(texts.mailFailed, { failure }) : '';
  return [fill(texts.mailTo, { to, when }), state].filter(Boolean).join(' · ');
}

function list(language: Language, mails: readonly KeptMail[], isSending: boolean): Html {
  const texts = textsOf(language);
  return html`<div class="hero"><h1>${texts.mailTitle}</h1><p>${isSending ? texts.mailSentText : texts.mailText}</p></div>
${
  mails.length === 0
    ? html`<p>${texts.noMail}</p>`
    : html`<ul class="letters">${mails.map(
        (mail) =>
          html`<li><a href="/sandbox/mail/${mail.id}" lang="${mail.language}">${mail.subject}</a><small>${aboutOf(language, mail)}</small></li>`,
      )}</ul>`
}`;
}

/** Addresses in a text as links; everything else as it is. */
function linked(text: string): Html[] {
  return text
    .split(/(https?:\/\/[^\s<>"]+)/)
    .map((part, index) => (index % 2 === 1 ? html`<a href="${part}">${part}</a>` : html`${part}`));
}

function letter(language: Language, mail: KeptMail, attached: readonly Attachment[]): Html {
  const texts = textsOf(language);
  const files = attached.map(
    ({ name }, place) =>
      html`<a href="/sandbox/mail/${mail.id}/attached/${place}">${name}</a>${raw(' &nbsp; ')}`,
  );
  return html`<article class="mail">
<h1 lang="${mail.language}">${mail.subject}</h1>
<p class="aside">${aboutOf(language, mail)}</p>
<div class="letter" lang="${mail.language}">${linked(mail.text)}</div>
<p>${files}<a href="/sandbox/mail/${mail.id}/html">${texts.asHtml}</a>${raw(' &nbsp; ')}<a href="/sandbox/mail">${texts.allMails}</a></p>
</article>`;
}
