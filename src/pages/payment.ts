/** What becomes of one payment, for who came back from its provider: found by the secret in its address, without signing in. */
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { html } from 'hono/html';
import type { Config } from '../config.ts';
import type { Desk } from '../payments/desk.ts';
import { manualAccounts } from '../payments/manual.ts';
import type { Payment, PaymentState } from '../payments/payment.ts';
import { inBangla, nameIn, reasonText } from '../payments/reason_text.ts';
import { formatTaka } from '../payments/taka.ts';
import { handInBy, type PaymentView, viewPayment } from '../payments/visitor.ts';
import { formatUsd, type Nano } from '../wallet/money.ts';
import type { Texts } from './english.ts';
import { formPolicy, type Html, sendPage } from './frame.ts';
import { fill, type Language, textsOf, visitorLanguage } from './language.ts';

/** In s: after how long the page of a payment that is under way looks again. */
const lookAgainS = 4;
const mostBytes = 8000;

/** GET: what became of it. POST: the TrxID of a payment by hand. */
export function addPaymentPages(app: Hono, config: Config, desk: Desk): void {
  const accounts = manualAccounts(config.manualPayments);
  const show = (c: Context, view: PaymentView, refused: RefusedClaim | null) => {
    const language = visitorLanguage(c);
    const title = `${titleOf(language, view)} · AK AI CORE`;
    if (formPolicy) c.header('content-security-policy', formPolicy);
    return sendPage(c, config, { language, title, main: paymentMain(language, view, refused) });
  };
  app.get('/payments/:token', async (c) => {
    const view = await viewPayment(desk, accounts, c.req.param('token'));
    if (!view) return c.notFound();
    // Who is filling in a form must not lose it.
    if (isMoving(view.payment) && view.instructions.length === 0)
      c.header('refresh', String(lookAgainS));
    return show(c, view, null);
  });
  app.post('/payments/:token', bodyLimit({ maxSize: mostBytes }), async (c) => {
    const view = await viewPayment(desk, accounts, c.req.param('token'));
    if (!view) return c.notFound();
    const form = new URLSearchParams(await c.req.text());
    const [wallet, trxId, sender] = ['wallet', 'trx_id', 'sender'].map(
      (name) => form.get(name) ?? '',
    );
    const given = { wallet: wallet ?? '', trxId: trxId ?? '', sender: sender ?? '' };
    const why = await handInBy(desk, accounts, view, given);
    if (why === null) return c.redirect(c.req.path, 303);
    c.status(400);
    return show(c, view, { why, given });
  });
}

/** What was wrong with a form, and what was in it. */
interface RefusedClaim {
  readonly why: string;
  readonly given: Readonly<Record<'wallet' | 'trxId' | 'sender', string>>;
}

type Key = keyof Texts;
const heads: Readonly<Record<PaymentState, readonly [title: Key, text: Key]>> = {
  created: ['paymentWaiting', 'paymentWaitingText'],
  pending: ['paymentWaiting', 'paymentWaitingText'],
  verified: ['paymentVerified', 'paymentVerifiedText'],
  credited: ['paymentCredited', 'paymentCreditedText'],
  failed: ['paymentFailed', 'paymentNotPaidText'],
  cancelled: ['paymentCancelled', 'paymentNotPaidText'],
  expired: ['paymentExpired', 'paymentNotPaidText'],
  needs_review: ['paymentReview', 'paymentReviewText'],
  refunded: ['paymentRefunded', 'paymentRefundedText'],
};

/** While this holds, the page is worth loading again. */
function isMoving({ state }: Payment): boolean {
  return state === 'created' || state === 'pending' || state === 'verified';
}

function titleOf(language: Language, { payment }: PaymentView): string {
  return fill(textsOf(language).payment, { taka: formatTaka(payment.amount) });
}

/** Cents are enough to know it again; the exact amount is in the statement. */
function dollars(amount: Nano): string {
  const [whole, fraction = ''] = formatUsd(amount).split('.');
  return `$${whole}.${fraction.slice(0, 2).padEnd(2, '0')}`;
}

function dhaka(moment: Date, language: Language): string {
  const locale = language === 'bn' ? 'bn-BD' : 'en-GB';
  return moment.toLocaleString(locale, {
    timeZone: 'Asia/Dhaka',
    dateStyle: 'medium',
    timeStyle: 'short',
  });
}

/** All of the page but its frame. */
export function paymentMain(
  language: Language,
  view: PaymentView,
  refused: RefusedClaim | null,
): Html {
  const texts = textsOf(language);
  const { payment } = view;
  const method = nameIn(language, view.methodName);
  const [title, text] = heads[payment.state];
  const values = {
    method,
    credit: dollars(payment.credit),
    until: payment.heldUntil ? dhaka(payment.heldUntil, language) : '',
  };
  const byHand = payment.method === 'manual' && payment.state === 'pending';
  const goOn = payment.state === 'pending' && !byHand ? payment.redirectUrl : null;
  // Waiting for a person is how every payment by hand goes: nothing is wrong with it.
  const isClaimed = payment.method === 'manual' && payment.state === 'needs_review';
  const sentence = isClaimed ? texts.paymentClaimedText : texts[text];
  return html`<div class="hero">
<p class="over">${titleOf(language, view)}</p>
<h1 role="status">${fill(texts[title], values)}</h1>
<p>${fill(byHand ? texts.paymentByHandText : sentence, values)}</p>
${byHand ? '' : why(language, payment)}
</div>
${goOn ? html`<p class="act"><a class="button" href="${goOn}">${fill(texts.paymentContinue, values)}</a></p>` : ''}
${byHand ? handIn(language, view, refused) : ''}
<section><dl class="rows">${rows(language, view).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd translate="no">${value}</dd></div>`,
  )}</dl></section>`;
}

/** A person's own words are shown as they were written. */
function why(language: Language, payment: Payment): Html | '' {
  const reason = reasonText(payment, language);
  if (reason === null) return '';
  const isTranslated = inBangla(payment.reason ?? '') !== null;
  if (language === 'en' || isTranslated) return html`<p>${reason}</p>`;
  return html`<p>${fill(textsOf(language).operatorSays, { words: `“${reason}”` })}</p>`;
}

function rows(language: Language, { payment, methodName }: PaymentView): [string, string][] {
  const texts = textsOf(language);
  const { amount, fee, bonus, credit, rate, trxId, invoice } = payment;
  const decimals = (rate / 1e6).toString();
  const row = (name: string, value: string): [string, string] => [name, value];
  return [
    [texts.paymentAmount, `৳${formatTaka(amount)} · ${nameIn(language, methodName)}`],
    ...(fee > 0 ? [row(texts.paymentFee, `৳${formatTaka(fee)}`)] : []),
    [texts.paymentRate, fill(texts.paymentRateText, { rate: decimals })],
    [texts.paymentCredit, `$${formatUsd(credit)}`],
    ...(bonus > 0 ? [row(texts.paymentBonus, `$${formatUsd(bonus)}`)] : []),
    ...(trxId ? [row(texts.paymentTrx, trxId)] : []),
    [texts.paymentInvoice, invoice],
  ];
}

function handIn(
  language: Language,
  { instructions }: PaymentView,
  refused: RefusedClaim | null,
): Html {
  const texts = textsOf(language);
  const { why: english, given } = refused ?? {
    why: '',
    given: { wallet: '', trxId: '', sender: '' },
  };
  const wrong =
    language === 'bn' && english ? (inBangla(english) ?? texts.paymentNotTaken) : english;
  const wallets = [...new Set(instructions.map(({ wallet }) => wallet))];
  return html`<section><h2>${texts.paymentSend}</h2>
<ul>${instructions.map(
    ({ english, bangla, note }) =>
      html`<li>${language === 'bn' ? bangla : english}${note ? html` <em>${note}</em>` : ''}</li>`,
  )}</ul></section>
<section><h2>${texts.paymentHandIn}</h2>
${wrong ? html`<p class="notice" role="alert">${wrong}</p>` : ''}
<form method="post" class="fields">
<label>${texts.paymentWallet}<select name="wallet" required>${wallets.map(
    (name) =>
      html`<option value="${name.toLowerCase()}"${given.wallet === name.toLowerCase() ? ' selected' : ''}>${nameIn(language, name)}</option>`,
  )}</select></label>
<label>TrxID<input name="trx_id" value="${given.trxId}" required maxlength="40" autocomplete="off" autocapitalize="characters" spellcheck="false"></label>
<label>${texts.paymentSender}<input name="sender" value="${given.sender}" maxlength="20" inputmode="tel" autocomplete="tel"></label>
<button type="submit">${texts.paymentSubmit}</button>
</form></section>`;
}
