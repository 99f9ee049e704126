/** Where a payer lands who came back from agreeing to automatic top-ups: asks the provider, and says what became of it. */
import type { Hono } from 'hono';
import { sessionUser } from '../accounts/sessions.ts';
import type { Config } from '../config.ts';
import { accountOfAgreement, concludeAgreement } from '../payments/agreements.ts';
import type { Desk } from '../payments/desk.ts';
import { message, sendPage } from './frame.ts';
import { textsOf, visitorLanguage } from './language.ts';

interface AgreementSite {
  readonly config: Config;
  readonly desk: Desk;
  /** Signs session cookies. */
  readonly sessionSecret: string;
  readonly report: (message: string, error: unknown) => void;
}

const said = {
  agreed: { status: 200, head: 'agreedTitle', text: 'agreed' },
  stranger: { status: 403, head: 'strangerTitle', text: 'stranger' },
  notAgreed: { status: 200, head: 'notAgreedTitle', text: 'notAgreed' },
  silent: { status: 503, head: 'agreementSilentTitle', text: 'agreementSilent' },
} as const;

export function addAgreementPages(app: Hono, site: AgreementSite): void {
  app.get('/agreements/:method/:token', async (c) => {
    const { method, token } = c.req.param();
    const owner = await accountOfAgreement(site.desk, method, token);
    if (owner === null) return c.notFound();
    const cookie = c.req.header('cookie') ?? '';
    const outcome = await outcomeFor(site, owner, { method, token, cookie });
    const language = visitorLanguage(c);
    const { status, head, text } = said[outcome];
    const texts = textsOf(language);
    const [title, sentence] = [texts[head], texts[text]];
    c.status(status);
    const main = message(language, title, sentence);
    return sendPage(c, site.config, { language, title: `${title} · AK AI CORE`, main });
  });
}

/**
 * What the browser says is only a reason to ask the provider. It must be that of the account: who is sent a link to agree for
 * somebody else's would pay for them from then on.
 */
async function outcomeFor(
  { config, desk, sessionSecret: secret, report }: AgreementSite,
  owner: string,
  given: { readonly method: string; readonly token: string; readonly cookie: string },
): Promise<keyof typeof said> {
  const isSecure = config.publicUrl.startsWith('https:');
  const user = await sessionUser(desk.sql, given.cookie, { secret, isSecure });
  if (user?.id !== owner) return 'stranger';
  try {
    const agreement = await concludeAgreement(desk, given.method, given.token);
    return agreement?.state === 'active' ? 'agreed' : 'notAgreed';
  } catch (error) {
    report('an agreement was not concluded', error);
    return 'silent';
  }
}
