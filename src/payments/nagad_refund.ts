/**
 * Money given back by Nagad's "cancel", of which little is known. Done is only what verify shows afterwards: a firewall's page,
 * or any word of the cancel's own answer, is not enough. Verify tells of one cancellation, not of which: so one a payment.
 */

import { dhakaStamp } from './dhaka_time.ts';
import {
  type Evidence,
  type PaidPayment,
  type PaymentMethod,
  ProviderSilent,
  type RefundOrder,
  type RefundTruth,
  type Truth,
} from './method.ts';
import { cancelReference, truthIn } from './nagad_answer.ts';
import { cancelPurchase, type NagadAccess, verifyPayment } from './nagad_api.ts';
import { mostBytes } from './nagad_crypto.ts';
import { formatTaka, takaIn } from './taka.ts';

interface Shown {
  readonly truth: Truth | null;
  /** The reference of the cancellation, where there is one. */
  readonly given: string | null;
  readonly evidence: Evidence;
}

/** What verify shows; `truth` null where it shows nothing that is of this payment. */
async function look(access: NagadAccess, payment: PaidPayment): Promise<Shown> {
  const { providerId } = payment;
  const nothing = { operation: 'verify', httpStatus: null, ms: 0, code: null, body: null };
  if (providerId === null) return { truth: null, given: null, evidence: nothing };
  try {
    const answer = await verifyPayment(access, providerId);
    const truth = truthIn(answer, access.merchantId);
    const ours =
      truth.state !== 'unknown' &&
      answer.body.merchantId === access.merchantId &&
      truth.providerId === providerId &&
      truth.invoice === payment.invoice &&
      truth.trxId === payment.trxId;
    const given = ours ? cancelReference(answer.body) : null;
    return { truth: ours ? truth : null, given, evidence: answer.evidence };
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    return { truth: null, given: null, evidence: error.evidence };
  }
}

/** The request as Nagad wants it; of the reason as much as fits into the block of RSA, in ASCII. */
function requestOf(payment: PaidPayment, order: RefundOrder, merchantId: string, most: number) {
  const written = (referenceMessage: string): string =>
    JSON.stringify({
      merchantId,
      originalRequestDate: dhakaStamp(payment.createdAt).slice(0, 8),
      orderId: payment.invoice,
      originalAmount: formatTaka(payment.amount),
      cancelAmount: formatTaka(order.amount),
      referenceNo: order.reference,
      referenceMessage,
    });
  const room = Math.max(most - written('').length, 0);
  const plain = order.reason.replace(/[^A-Za-z0-9 .,-]/g, '').trim() || 'Refund';
  return written(plain.slice(0, room).trim());
}

async function refund(
  access: NagadAccess,
  payment: PaidPayment,
  order: RefundOrder,
): Promise<RefundTruth> {
  const before = await look(access, payment);
  const refused = (reason: string): RefundTruth => ({
    state: 'refused',
    providerRefundId: null,
    reason,
    evidence: before.evidence,
  });
  // Nothing was sent up to here, so a refusal is certain.
  if (before.given !== null)
    return refused(
      'Nagad shows that money of this payment was given back already: use the merchant portal.',
    );
  if (before.truth?.state !== 'paid' || before.truth.amount !== payment.amount)
    return refused('Nagad does not show this payment as paid now, so nothing was asked of it.');
  const keys = await access.keys();
  const plain = requestOf(payment, order, access.merchantId, mostBytes(keys));
  let asked: { refusal: string | null; amount: unknown; evidence: Evidence };
  try {
    const { said, refusal, evidence } = await cancelPurchase(access, payment.invoice, plain);
    asked = { refusal, amount: said?.cancelAmount, evidence };
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    asked = { refusal: 'no answer', amount: undefined, evidence: error.evidence };
  }
  const after = await refundStatus(access, payment);
  const evidence = {
    ...asked.evidence,
    body: { cancel: asked.evidence.body, verify: after.evidence.body },
  };
  if (asked.amount !== undefined && takaIn(asked.amount) !== order.amount)
    return { ...after, state: 'unknown', reason: 'Nagad names another amount.', evidence };
  const reason =
    after.state === 'unknown' && asked.refusal !== null
      ? `Nagad said: ${asked.refusal}`
      : after.reason;
  return { ...after, reason, evidence };
}

async function refundStatus(access: NagadAccess, payment: PaidPayment): Promise<RefundTruth> {
  const { given, evidence } = await look(access, payment);
  return given === null
    ? {
        state: 'unknown',
        providerRefundId: null,
        reason: 'Nagad shows no money given back yet.',
        evidence,
      }
    : { state: 'refunded', providerRefundId: given, reason: null, evidence };
}

/** The two parts of a method that give money back. */
export function refunds(
  access: NagadAccess,
): Required<Pick<PaymentMethod, 'refund' | 'refundStatus'>> {
  return {
    refund: (payment, order) => refund(access, payment, order),
    refundStatus: (payment) => refundStatus(access, payment),
  };
}
