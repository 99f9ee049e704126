/**
 * Where a voucher is redeemed, which its card names. Who types a code says with it whose wallet is meant, by address and password:
 * cookies are not looked at and none is set, so that no page of others can do anything here.
 */
import type { IncomingMessage } from 'node:http';
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import { clientAddress } from '../accounts/networks.ts';
import type { Asking, SignIn } from '../accounts/sign_in.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { inBangla } from '../payments/reason_text.ts';
import { type Redemption, redeemCounted } from '../payments/vouchers.ts';
import { formatUsd } from '../wallet/money.ts';
import { formPolicy, type Html, message, sendPage } from './frame.ts';
import { fill, type Language, textsOf, visitorLanguage } from './language.ts';

export interface RedeemSite {
  readonly config: Config;
  readonly sql: Sql;
  readonly signIn: SignIn;
}

const mostBytes = 8000;

interface Filled {
  readonly email: string;
  readonly password: string;
  readonly code: string;
}
const empty: Filled = { email: '', password: '', code: '' };

export function addRedeemPage(app: Hono, site: RedeemSite): void {
  app.get('/redeem', (c) => {
    const language = visitorLanguage(c);
    return show(c, site, language, redeemForm(language, empty, null));
  });
  app.post('/redeem', bodyLimit({ maxSize: mostBytes }), async (c) => {
    const language = visitorLanguage(c);
    const form = new URLSearchParams(await c.req.text());
    const [email = '', password = '', code = ''] = ['email', 'password', 'code'].map(
      (name) => form.get(name)?.replaceAll('\0', '').slice(0, 300) ?? '',
    );
    const filled = { email, password, code };
    try {
      const { value, balance } = await redeemed(c, site, filled);
      const texts = textsOf(language);
      const title = fill(texts.redeemedTitle, { amount: `$${formatUsd(value)}` });
      const text = fill(texts.redeemed, { balance: `$${formatUsd(balance)}` });
      return await show(c, site, language, message(language, title, text), title);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status >= 500) throw error;
      c.status(400);
      return show(c, site, language, redeemForm(language, filled, error.message));
    }
  });
}

/** @throws ApiError wrong_credentials, too_many_attempts, voucher_unknown, voucher_refused */
async function redeemed(
  c: Context,
  { config, sql, signIn }: RedeemSite,
  { email, password, code }: Filled,
): Promise<Redemption> {
  // as: the adapter of Node.js puts it there for every request
  const { incoming } = c.env as { incoming: IncomingMessage };
  const address = clientAddress(incoming, config.trustedProxies);
  const asking: Asking = { address, userAgent: c.req.header('user-agent') ?? '', cookie: '' };
  const { user, cookies } = await signIn.signIn(email, password, asking);
  try {
    return await redeemCounted(sql, user.id, code);
  } finally {
    // The session was for this alone.
    const cookie = cookies.map((line) => line.split(';')[0]).join('; ');
    await signIn.signOut({ ...asking, cookie });
  }
}

function show(
  c: Context,
  { config }: RedeemSite,
  language: Language,
  main: Html,
  title = textsOf(language).redeemTitle,
): Promise<Response> {
  if (formPolicy) c.header('content-security-policy', formPolicy);
  return sendPage(c, config, { language, title: `${title} · AK AI CORE`, main });
}

function redeemForm(language: Language, { email, code }: Filled, english: string | null): Html {
  const texts = textsOf(language);
  const wrong =
    english !== null && language === 'bn' ? (inBangla(english) ?? texts.redeemRefused) : english;
  return html`<div class="hero"><h1>${texts.redeemTitle}</h1><p>${texts.redeemText}</p></div>
${wrong ? html`<p class="notice" role="alert">${wrong}</p>` : ''}
<form method="post" action="/redeem" class="fields">
<label>${texts.redeemCode}<input name="code" value="${code}" required maxlength="60" autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="XXXX-XXXX-XXXX-XXXX-XXXX"></label>
<label>${texts.redeemEmail}<input name="email" type="email" value="${email}" required maxlength="254" autocomplete="username"></label>
<label>${texts.redeemPassword}<input name="password" type="password" required maxlength="128" autocomplete="current-password"></label>
<button type="submit">${texts.redeem}</button>
</form>`;
}
