/**
 * Where the links of mails lead: to confirm an address, to choose a new password. Opening a page changes nothing, since programs
 * that look through mail open links, too: the press of a button does. The token in the form is all that it takes; cookies are not looked at.
 */

import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { passwordLength } from '../accounts/passwords.ts';
import type { SignIn } from '../accounts/sign_in.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { mailPasswordChanged } from '../mail/account_mails.ts';
import { formPolicy, type Html, message, sendPage } from './frame.ts';
import { type Language, textsOf, visitorLanguage } from './language.ts';

export interface AccountPages {
  readonly config: Config;
  readonly sql: Sql;
  readonly signIn: SignIn;
}

const mostBytes = 8000;

export function addAccountPages(app: Hono, site: AccountPages): void {
  const { config, signIn } = site;
  const limit = bodyLimit({ maxSize: mostBytes });
  app.get('/account/confirm', (c) => {
    const language = visitorLanguage(c);
    return show(c, config, language, textsOf(language).confirmTitle, confirmForm(c, language));
  });
  app.post('/account/confirm', limit, (c) =>
    act(c, config, async ({ token }, language) => {
      const { confirmedTitle: title, confirmed } = textsOf(language);
      await signIn.verifyEmail(token);
      return [title, message(language, title, confirmed)];
    }),
  );
  app.get('/account/password', (c) => {
    const language = visitorLanguage(c);
    return show(c, config, language, textsOf(language).newPasswordTitle, passwordForm(c, language));
  });
  app.post('/account/password', limit, (c) =>
    act(c, config, async ({ token, password }, language) => {
      const { savedTitle: title, saved } = textsOf(language);
      await mailPasswordChanged(site, await signIn.resetPassword(token, password));
      return [title, message(language, title, saved)];
    }),
  );
}

interface Filled {
  readonly token: string;
  readonly password: string;
}

/** What a form asks for; a link that is no good any more is said in a page, too. */
async function act(
  c: Context,
  config: Config,
  doing: (filled: Filled, language: Language) => Promise<[title: string, main: Html]>,
): Promise<Response> {
  const language = visitorLanguage(c);
  const form = new URLSearchParams(await c.req.text());
  const [token, password] = [form.get('token') ?? '', form.get('password')];
  const { least, most } = passwordLength;
  // The browser has said so before, in whatever language it speaks.
  if (password !== null && (password.length < least || password.length > most))
    return show(
      c,
      config,
      language,
      textsOf(language).newPasswordTitle,
      passwordForm(c, language, token, textsOf(language).passwordLength),
      400,
    );
  try {
    const [title, main] = await doing({ token, password: password ?? '' }, language);
    return await show(c, config, language, title, main);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'invalid_link')) throw error;
    const { linkTitle: title, link } = textsOf(language);
    return show(c, config, language, title, message(language, title, link), 400);
  }
}

function show(
  c: Context,
  config: Config,
  language: Language,
  title: string,
  main: Html,
  status: 200 | 400 = 200,
): Promise<Response> {
  c.status(status);
  if (formPolicy) c.header('content-security-policy', formPolicy);
  const other = new URLSearchParams({
    ...c.req.query(),
    lang: language === 'en' ? 'bn' : 'en',
  });
  return sendPage(c, config, { language, title, main, languageLink: `?${other}` });
}

function confirmForm(c: Context, language: Language): Html {
  const texts = textsOf(language);
  return html`<div class="hero"><h1>${texts.confirmTitle}</h1><p>${texts.confirmText}</p></div>
<form class="form" method="post" action="/account/confirm">
<input type="hidden" name="token" value="${c.req.query('token') ?? ''}">
<button>${texts.confirm}</button>
</form>`;
}

function passwordForm(
  c: Context,
  language: Language,
  token = c.req.query('token') ?? '',
  wrong = '',
): Html {
  const texts = textsOf(language);
  const { least, most } = passwordLength;
  return html`<div class="hero"><h1>${texts.newPasswordTitle}</h1><p id="rule">${texts.newPasswordText}</p></div>
${wrong ? html`<p class="notice" role="alert">${wrong}</p>` : ''}
<form class="form" method="post" action="/account/password">
<input type="hidden" name="token" value="${token}">
<label for="password">${texts.newPassword}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="${least}" maxlength="${most}" aria-describedby="rule">
<button>${texts.save}</button>
</form>`;
}
