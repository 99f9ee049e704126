/**
 * UddoktaPay: the operator's own panel in front of wallets, reached by a static key. Money moves outside of our control;
 * all that the panel can be asked is one invoice of its own, whose id only the payer's browser or a webhook brings.
 *
 * A transfer's id is `<METHOD>:<TRX>` in upper case, such as `BKASH:CK250NROQ5`: the panel promises no uniqueness across
 * the wallets behind it. The panel's answers name no currency: its brand must be set to BDT.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import {
  bareTruth,
  type Claim,
  type Evidence,
  type Hint,
  type Opened,
  type PaidPayment,
  type Payer,
  type PaymentFacts,
  type PaymentMethod,
  ProviderRefused,
  ProviderSilent,
  type RefundOrder,
  type RefundTruth,
  type ReturnAddresses,
  type Truth,
  type TruthState,
} from './method.ts';
import { maskedNumber, nationalNumber } from './msisdn.ts';
import { callProvider, type ProviderAnswer } from './provider_http.ts';
import { formatTaka, paisa, takaIn } from './taka.ts';
import { trxIdOf } from './trx_id.ts';

export interface UddoktapaySettings {
  readonly mode: 'sandbox' | 'live';
  /** The panel's address as people paste it, with or without `/api…`; empty: not set up. */
  readonly baseUrl: string;
  /** With the abilities to check out and to verify; to refund only where `refunds` is on. */
  readonly apiKey: string;
  /** Whether a refund is asked of the panel; else the operator sends the money back by hand. */
  readonly refunds: boolean;
  /** How long an answer may take; ms. */
  readonly timeoutMs?: number;
}

type Json = Readonly<Record<string, unknown>>;

const keyHeader = 'RT-UDDOKTAPAY-API-KEY';
const minute = 60_000;

/** An unlisted word is `unknown`: it neither credits nor ends a payment. */
const stateOfStatus: Readonly<Record<string, TruthState>> = {
  COMPLETED: 'paid',
  PENDING: 'authorised',
  FAILED: 'failed',
  ERROR: 'unknown',
};

const whyNotPaid: Readonly<Record<string, string>> = {
  PENDING: 'The TrxID was handed in; UddoktaPay has yet to approve it.',
  FAILED: 'UddoktaPay says that the payment failed.',
};

/** Refusals that a panel gives before it moves anything: no such key, no such ability, a request that is not valid. */
const refusedBefore: ReadonlySet<number> = new Set([401, 403, 422]);
const notValid = /^the .{1,60} (?:field is required|must be|is invalid)/i;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textIn(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && text.trim() !== '' ? text.trim().slice(0, 200) : null;
}

/** Panels write 20 letters and digits. */
function invoiceIdIn(value: unknown): string | null {
  const text = textIn(value);
  return text !== null && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : null;
}

/** Our invoice number, which we gave as metadata; some panels give it back as JSON in a string. */
function ownInvoiceIn(body: Json): string | null {
  let metadata: unknown = body.metadata;
  if (typeof metadata === 'string') {
    try {
      metadata = JSON.parse(metadata);
    } catch {
      return null;
    }
  }
  return isObject(metadata) ? textIn(metadata.intent_id) : null;
}

/** Without names, mail addresses and the payer's whole number. */
function redact(body: Json): unknown {
  const kept: Record<string, unknown> = {};
  for (const name of [
    'status',
    'message',
    'invoice_id',
    'amount',
    'fee',
    'charged_amount',
    'payment_method',
    'transaction_id',
    'date',
  ])
    if (body[name] !== undefined) kept[name] = textIn(body[name]) ?? body[name];
  const invoice = ownInvoiceIn(body);
  if (invoice) kept.metadata = { intent_id: invoice };
  const payer = textIn(body.sender_number);
  if (payer) kept.sender_number = maskedNumber(nationalNumber(payer) ?? payer);
  return kept;
}

/**
 * `https://pay.example.com//api/checkout-v2/` → `https://pay.example.com`: operators paste any of them, and a panel
 * answers 404 to a double slash. A panel may live in a folder.
 * @returns null for what is no address
 */
export function panelAddress(pasted: string): string | null {
  if (!URL.canParse(pasted)) return null;
  const { protocol, host, pathname } = new URL(pasted);
  if (protocol !== 'https:' && protocol !== 'http:') return null;
  const folder = pathname
    .replace(/\/{2,}/g, '/')
    .replace(/\/api(?:\/.*)?$/, '')
    .replace(/\/$/, '');
  return `${protocol}//${host}${folder}`;
}

/** Play money and real money never meet: @returns why this panel may not be used in this mode, or null */
function wrongPanel(address: string, mode: 'sandbox' | 'live'): string | null {
  const { protocol, hostname: written } = new URL(address);
  const hostname = written.replace(/\.$/, '');
  const loopback = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname);
  const play = loopback || hostname === 'sandbox.uddoktapay.com';
  if (mode === 'sandbox')
    return play ? null : 'UDDOKTAPAY_BASE_URL is a panel for real money, and this is a sandbox.';
  if (play) return 'UDDOKTAPAY_BASE_URL is a sandbox, and this installation takes real money.';
  return protocol === 'https:'
    ? null
    : 'UDDOKTAPAY_BASE_URL must begin with https:// in live mode.';
}

function whyUnavailable({ baseUrl, apiKey, mode }: UddoktapaySettings): string | null {
  if (baseUrl === '') return 'UDDOKTAPAY_BASE_URL is not set.';
  if (apiKey === '') return 'UDDOKTAPAY_API_KEY is not set.';
  const address = panelAddress(baseUrl);
  return address ? wrongPanel(address, mode) : 'UDDOKTAPAY_BASE_URL is no http address.';
}

/** Takes the same time for every key of any length. */
function sameKey(given: string, own: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(own));
}

const notAsked: Evidence = {
  operation: 'verify-payment',
  httpStatus: null,
  ms: 0,
  code: null,
  body: null,
};

/**
 * Reads an answer to verify-payment. `amount` is what we asked for, `charged_amount` what the payer paid with the panel's
 * fee; `date` has no zone and is not read. An answer without the invoice and its amount says nothing about a payment,
 * whatever its status: that is how panels answer a wrong id, too.
 */
function truthIn({ status: httpStatus, body, evidence }: ProviderAnswer): Truth {
  const word = textIn(body.status)?.toUpperCase() ?? '';
  const message = textIn(body.message);
  const providerId = invoiceIdIn(body.invoice_id);
  const amount = takaIn(body.amount);
  const none = (reason: string): Truth => bareTruth('unknown', reason, evidence);
  if (httpStatus !== 200) return none(message ?? `UddoktaPay answered ${httpStatus}.`);
  if (!providerId || amount === null)
    return none(message ?? 'UddoktaPay names no invoice with an amount.');
  const invoice = ownInvoiceIn(body);
  const wallet = textIn(body.payment_method);
  const transfer = textIn(body.transaction_id);
  const trxId = wallet && transfer ? trxIdOf(wallet, transfer) : null;
  const payer = nationalNumber(textIn(body.sender_number) ?? '');
  const state = stateOfStatus[word] ?? 'unknown';
  const odd = `UddoktaPay gives the status ${word || 'nothing'}.`;
  const named = {
    ...bareTruth(state, state === 'paid' ? null : (message ?? whyNotPaid[word] ?? odd), evidence),
    ...{ providerId, invoice, amount, trxId, payer },
    foreign: invoice ? null : 'The payment at UddoktaPay names no invoice of ours.',
  };
  if (state === 'paid' && !trxId)
    return { ...named, state: 'unknown', reason: 'UddoktaPay names no TrxID.' };
  return named;
}

/** `status: true` is no proof: a panel answers it for a refund that only changes its record. */
function refundIn({ status, body, evidence }: ProviderAnswer): RefundTruth {
  const said = textIn(body.message) ?? `UddoktaPay answered ${status}.`;
  const answer = (state: 'refused' | 'unknown', reason: string): RefundTruth => ({
    state,
    providerRefundId: null,
    reason,
    evidence,
  });
  if (body.status === true)
    return answer('unknown', 'Asked for at UddoktaPay; the operator confirms that it was sent.');
  if (refusedBefore.has(status) || (body.status === false && notValid.test(said)))
    return answer('refused', said);
  return answer('unknown', said);
}

/** Asks the panel. @throws ProviderSilent, also where the panel is not set up */
type Call = (operation: string, body: Json) => Promise<ProviderAnswer>;

function callerOf(settings: UddoktapaySettings, why: string | null): Call {
  const root = panelAddress(settings.baseUrl) ?? '';
  return async (operation, body) => {
    if (why) throw new ProviderSilent(why, { ...notAsked, operation });
    return callProvider(
      {
        operation,
        method: 'POST',
        url: `${root}/api/${operation}`,
        headers: {
          [keyHeader]: settings.apiKey,
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body: JSON.stringify(body),
        redact,
        timeoutMs: settings.timeoutMs ?? 30_000,
      },
      ({ status }) => (typeof status === 'boolean' ? null : textIn(status)),
    );
  };
}

async function open(
  call: Call,
  payment: PaymentFacts,
  payer: Payer,
  addresses: ReturnAddresses,
): Promise<Opened> {
  const { status, body, evidence } = await call('checkout-v2', {
    full_name: payer.name.trim() || payer.reference,
    email: payer.email,
    amount: formatTaka(payment.amount),
    metadata: { intent_id: payment.invoice },
    redirect_url: addresses.callback,
    // Without it the browser comes back by POST, and without its cookies.
    return_type: 'GET',
    cancel_url: addresses.cancel,
    webhook_url: addresses.webhook,
  });
  const page = body.payment_url;
  if (status === 200 && body.status === true && typeof page === 'string' && panelAddress(page))
    return { providerId: null, redirectUrl: page, nonce: null, evidence };
  if (status >= 500 || body.status === true)
    throw new ProviderSilent('checkout-v2: no address to pay at', evidence);
  // What is wrong with our key is not for the payer.
  const said = status === 401 || status === 403 ? null : textIn(body.message);
  throw new ProviderRefused(
    said ? `UddoktaPay did not open the payment: ${said}` : 'UddoktaPay did not open the payment.',
    evidence,
  );
}

async function ask(call: Call, { providerId }: PaymentFacts): Promise<Truth> {
  if (!providerId)
    return bareTruth('pending', 'The payer has not come back from UddoktaPay yet.', notAsked);
  try {
    return truthIn(await call('verify-payment', { invoice_id: providerId }));
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    return bareTruth('unknown', 'UddoktaPay does not answer at the moment.', error.evidence);
  }
}

/** Where to look, from a webhook that carries our key; nothing else in it is read. */
function hintIn(text: string): Hint | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(body)) return null;
  const providerId = invoiceIdIn(body.invoice_id);
  if (!providerId) return null;
  const evidence = { ...notAsked, operation: 'webhook', body: redact(body) };
  return { messageId: null, invoice: ownInvoiceIn(body), providerId, receipt: null, evidence };
}

/** The transfer is named as the panel spells it, so the panel is asked first; that moves nothing. */
async function refund(call: Call, payment: PaidPayment, order: RefundOrder): Promise<RefundTruth> {
  let asked = false;
  try {
    const found = await call('verify-payment', { invoice_id: payment.providerId });
    const { trxId, state, reason } = truthIn(found);
    if (state !== 'paid' || trxId !== payment.trxId) {
      const other = reason ?? 'UddoktaPay no longer knows this payment as paid by this TrxID.';
      return { state: 'refused', providerRefundId: null, reason: other, evidence: found.evidence };
    }
    asked = true;
    const answer = await call('refund-payment', {
      transaction_id: textIn(found.body.transaction_id),
      payment_method: textIn(found.body.payment_method),
      amount: formatTaka(order.amount),
      product_name: 'Wallet top-up',
      reason: `${order.reason} (${order.reference})`,
    });
    return refundIn(answer);
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    const state = asked ? 'unknown' : 'refused';
    return { state, providerRefundId: null, reason: error.message, evidence: error.evidence };
  }
}

/**
 * A claim or hint names an invoice of the panel, and is forged easily: ask with its id, and keep the id only when the
 * answer names our own invoice.
 */
export function uddoktapay(settings: UddoktapaySettings): PaymentMethod {
  const why = whyUnavailable(settings);
  const call = callerOf(settings, why);
  return {
    id: 'uddoktapay',
    name: 'UddoktaPay',
    available: why ? { why } : true,
    // The panel has bounds of its own for each wallet, which it does not tell.
    least: paisa(100),
    most: paisa(999_999_900),
    openForMs: 72 * 60 * minute,
    // Asks nothing before the invoice id is known.
    pollAfterMs: [1, 2, 5, 10, 15].map((minutes) => minutes * minute),
    open: (payment, payer, addresses) => open(call, payment, payer, addresses),
    claimOf: (returned): Claim => ({
      // A payment that waits for approval comes back the same way as a paid one.
      claims: 'unknown',
      providerId: invoiceIdIn(returned.get('invoice_id')),
      nonce: null,
    }),
    ask: (payment) => ask(call, payment),
    webhook: async (body, headers) => {
      const given = headers.get(keyHeader);
      return why || given === null || !sameKey(given, settings.apiKey) ? null : hintIn(body);
    },
    ...(settings.refunds ? { refund: (payment, order) => refund(call, payment, order) } : {}),
  };
}
