/** What Nagad says of a payment, and what a browser brings back from it, in the words of a payment method. */

import { dhakaMoment } from './dhaka_time.ts';
import { bareTruth, type Claim, type Truth, type TruthState } from './method.ts';
import { nationalNumber } from './msisdn.ts';
import { refusalIn } from './nagad_api.ts';
import type { ProviderAnswer } from './provider_http.ts';
import { takaIn } from './taka.ts';

type Body = Readonly<Record<string, unknown>>;

/** Nagad's words for the state of a payment, as integrators have met them. */
const states: ReadonlyMap<string, TruthState> = new Map([
  ['Success', 'paid'],
  ['Aborted', 'cancelled'],
  ['Cancelled', 'cancelled'],
  ['Failed', 'failed'],
  ['OrderInitiated', 'pending'],
  ['Initiated', 'pending'],
  ['Ready', 'pending'],
  ['InProgress', 'pending'],
]);
const successCode = '000';

function text(body: Body, name: string): string | null {
  const value = body[name];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

/** The reference of money given back; null where none was. */
export function cancelReference(body: Body): string | null {
  const value = body.cancelIssuerRefNo;
  if (value === null || value === undefined || value === '') return null;
  return String(value).slice(0, 60);
}

/** State by Nagad's word, and why it is not paid. */
function stateIn(body: Body): { state: TruthState; reason: string | null } {
  const word = text(body, 'status') ?? '';
  const code = text(body, 'statusCode');
  const state = states.get(word);
  if (!state)
    return { state: 'pending', reason: `Nagad says "${word.slice(0, 40)}", which we do not know.` };
  if (state === 'paid' && code !== successCode)
    return { state: 'pending', reason: `Nagad says Success with the code ${code ?? 'missing'}.` };
  if (state === 'paid' && cancelReference(body) !== null)
    return { state: 'pending', reason: 'Nagad shows that the money was given back.' };
  if (state === 'cancelled') return { state, reason: "The payment was cancelled on Nagad's page." };
  if (state === 'failed')
    return { state, reason: `Nagad says that the payment failed${code ? ` (${code})` : ''}.` };
  return { state, reason: null };
}

/** A sentence where the payment is not ours to credit. */
function foreignIn(body: Body, merchantId: string): string | null {
  const merchant = text(body, 'merchantId');
  if (merchant !== null && merchant !== merchantId)
    return `Nagad names the merchant ${merchant.slice(0, 40)}, who is not us.`;
  const given = cancelReference(body);
  return given === null ? null : `Nagad shows that money was given back (${given}).`;
}

/** What must be there, and well formed, before a payment counts as paid. */
function lackOf(body: Body, truth: Truth): string | null {
  const present: readonly [name: string, value: unknown][] = [
    ['merchantId', text(body, 'merchantId')],
    ['orderId', truth.invoice],
    ['paymentRefId', truth.providerId],
    ['amount', truth.amount],
    ['issuerPaymentRefNo', truth.trxId],
  ];
  const missing = present.filter(([, value]) => value === null).map(([name]) => name);
  return missing.length > 0 ? missing.join(', ') : null;
}

/** Reads the answer to a verification. The answer is not signed; TLS alone vouches for it. */
export function truthIn({ status, body, evidence }: ProviderAnswer, merchantId: string): Truth {
  if (status < 200 || status > 299 || text(body, 'status') === null)
    return bareTruth(
      'unknown',
      `Nagad does not say how the payment stands: ${refusalIn(body) ?? `HTTP ${status}`}`,
      evidence,
    );
  const payer = text(body, 'clientMobileNo');
  const trxId = text(body, 'issuerPaymentRefNo')?.toUpperCase() ?? '';
  const truth: Truth = {
    ...stateIn(body),
    providerId: text(body, 'paymentRefId'),
    invoice: text(body, 'orderId'),
    amount: takaIn(body.amount),
    currency: null,
    trxId: /^[A-Z0-9]{4,40}$/.test(trxId) ? trxId : null,
    payer: payer === null ? null : nationalNumber(payer),
    paidAt: dhakaMoment(text(body, 'issuerPaymentDateTime') ?? ''),
    foreign: foreignIn(body, merchantId),
    evidence,
  };
  const lack = truth.state === 'paid' ? lackOf(body, truth) : null;
  return lack === null
    ? truth
    : { ...truth, state: 'unknown', reason: `Nagad says Success without a proper ${lack}.` };
}

const claims: ReadonlyMap<string, Claim['claims']> = new Map([
  ['Success', 'paid'],
  ['Aborted', 'cancelled'],
  ['Cancelled', 'cancelled'],
  ['Failed', 'failed'],
]);

/**
 * Reads what the browser brings back: `…/?merchant=…&order_id=…&payment_ref_id=…&status=…`. Nagad puts the `/` before the `?`;
 * were it taken into the first name, no name that is read here is the first. Nothing of it is signed.
 */
export function claimOf(returned: URLSearchParams): Claim {
  // Base64 may hold a plus sign, which a query spells as a space where it was not escaped.
  const reference = returned.get('payment_ref_id')?.replaceAll(' ', '+') ?? '';
  return {
    claims: claims.get(returned.get('status')?.replace(/\/$/, '') ?? '') ?? 'unknown',
    providerId: reference === '' ? null : reference,
    nonce: null,
  };
}
