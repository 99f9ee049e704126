/** What follows from what a provider says of a payment. Pure: the rules of `settle.ts` in one place. */
import type { Claim, PaymentMethod, Truth } from './method.ts';
import type { Payment, PaymentState } from './payment.ts';
import { formatTaka } from './taka.ts';

export interface Verdict {
  /** What the payment becomes; its own state where nothing changes. */
  readonly state: PaymentState;
  /** Why, for the owner; null where the state says it all. */
  readonly reason: string | null;
  /** It stays what it is where its money is being asked for by now. */
  readonly unlessCaptured?: boolean;
}

/** Why a payment that is paid may not be credited by itself; empty where all fits. For the operator. */
export function mismatches(payment: Payment, truth: Truth): string[] {
  const found: string[] = [];
  if (truth.foreign) found.push(truth.foreign);
  if (!truth.trxId) found.push('the provider names no transaction');
  // Of all that is named nothing may differ; amount and invoice must be named.
  if (truth.amount !== payment.amount)
    found.push(
      `the amount is ${truth.amount === null ? 'not named' : `৳${formatTaka(truth.amount)}`}, not ৳${formatTaka(payment.amount)}`,
    );
  if (truth.invoice !== payment.invoice)
    found.push(`the invoice is ${truth.invoice ?? 'not named'}, not ${payment.invoice}`);
  if (truth.providerId !== null && truth.providerId !== payment.providerId)
    found.push(`the provider's id is ${truth.providerId}, not ${payment.providerId}`);
  if (truth.currency !== null && truth.currency !== 'BDT')
    found.push(`the currency is ${truth.currency}`);
  return found;
}

const open: readonly PaymentState[] = ['created', 'pending'];

/** @param claim what a browser said on its way back: it can only close what the provider does not call paid */
export function verdictOn(
  payment: Payment,
  method: PaymentMethod,
  truth: Truth,
  claim: Claim['claims'] | null,
  now: number,
): Verdict {
  const stays = { state: payment.state, reason: payment.reason };
  if (payment.rejectedAt) return stays;
  if (truth.state === 'paid') {
    if (payment.state === 'needs_review') return stays;
    const wrong = mismatches(payment, truth);
    if (wrong.length === 0) return { state: 'verified', reason: null };
    return { state: 'needs_review', reason: `It was paid, but ${wrong.join('; ')}.` };
  }
  if (!open.includes(payment.state)) return stays;
  if (truth.foreign) return { state: 'needs_review', reason: truth.foreign };
  if (truth.state === 'cancelled' || truth.state === 'failed')
    return { state: truth.state, reason: truth.reason };
  if (
    truth.state === 'pending' &&
    (claim === 'cancelled' || claim === 'failed') &&
    !payment.captureAskedAt
  )
    return { state: claim, reason: null };
  if (now < payment.expiresAt.getTime()) return { ...stays, reason: truth.reason };
  // Money that was asked for and of which nobody says what became of it is for a person, not for the bin.
  if (truth.state === 'unknown' && (payment.captureAskedAt || method.pollAfterMs.length === 0))
    return { state: 'needs_review', reason: 'The provider does not say what became of it.' };
  if (truth.state === 'authorised')
    return {
      state: 'needs_review',
      reason: 'The payer has agreed, and the provider has not confirmed it in time.',
    };
  return { state: 'expired', reason: 'It was not paid in time.' };
}
