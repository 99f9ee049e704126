/** Giving money back by bKash: parts of a payment, at most ten, for some weeks. */
import type { BkashAnswer } from './bkash_answer.ts';
import { type BkashApi, TokenUnavailable } from './bkash_api.ts';
import { refundRefusal } from './bkash_codes.ts';
import {
  type Evidence,
  type PaidPayment,
  type PaymentMethod,
  ProviderSilent,
  type RefundOrder,
  type RefundTruth,
} from './method.ts';
import { formatTaka, takaIn } from './taka.ts';

const day = 86_400_000;
const mostText = 255;

export function bkashRefunds(
  api: BkashApi,
  days: number,
): Required<Pick<PaymentMethod, 'refund' | 'refundStatus'>> {
  return {
    refund: async (payment, order) => {
      if (payment.providerId === null) return untried('bKash does not know the payment.');
      if (Date.now() > payment.paidAt.getTime() + days * day)
        return untried(`bKash gives refunds for ${days} days only.`);
      try {
        const answer = await api.call('refund', {
          paymentId: payment.providerId,
          trxId: payment.trxId,
          refundAmount: formatTaka(order.amount),
          // bKash wants both and returns them with the refund.
          sku: order.reference,
          reason: plain(order.reason),
        });
        return refunded(answer, order);
      } catch (error) {
        if (error instanceof TokenUnavailable) return untried(error.message, error.evidence);
        return silence(error);
      }
    },

    refundStatus: async (payment, order) => {
      if (payment.providerId === null) return untried('bKash does not know the payment.');
      try {
        const ids = { paymentId: payment.providerId, trxId: payment.trxId };
        return listed(await api.call('refundStatus', ids), payment, order);
      } catch (error) {
        return silence(error);
      }
    },
  };
}

function refunded(answer: BkashAnswer, order: RefundOrder): RefundTruth {
  const { code, evidence } = answer;
  if (answer.succeeded) {
    const amount = answer.taka('refundAmount') ?? answer.taka('amount');
    const status = answer.text('refundTransactionStatus', 'transactionStatus');
    const id = answer.text('refundTrxId', 'refundTrxID');
    if (status?.toLowerCase() === 'completed' && id !== null && amount === order.amount)
      return { state: 'refunded', providerRefundId: id, reason: null, evidence };
    const reason = 'bKash has not completed the refund yet.';
    return { state: 'unknown', providerRefundId: id, reason, evidence };
  }
  const why = code === null ? null : refundRefusal(code);
  if (why !== null) return { state: 'refused', providerRefundId: null, reason: why, evidence };
  if (answer.refusedByGateway)
    return refusedWith('bKash did not accept the request for a refund.', evidence);
  return unknown('bKash did not say whether it made the refund.', evidence);
}

/**
 * Which of the refunds of a payment is this one. bKash may name it by our reference; else it is told by its amount, and where
 * several have that amount, only one that is not known to be another's.
 */
function listed(answer: BkashAnswer, payment: PaidPayment, order: RefundOrder): RefundTruth {
  const { evidence } = answer;
  const original = answer.text('originalTrxId', 'originalTrxID');
  if (!answer.succeeded || (original !== null && original !== payment.trxId))
    return unknown('bKash did not say which refunds it made.', evidence);
  const others = new Set(order.others ?? []);
  const refunds = answer
    .list('refundTransactions')
    .map((item) => ({
      id: String(item.refundTrxId ?? item.refundTrxID ?? ''),
      status: String(item.refundTransactionStatus ?? '').toLowerCase(),
      amount: takaIn(item.refundAmount),
      sku: typeof item.sku === 'string' ? item.sku : null,
    }))
    .filter(({ id, amount }) => id !== '' && !others.has(id) && amount === order.amount);
  const named = refunds.filter(({ sku }) => sku === order.reference);
  const fitting = named.length > 0 ? named : refunds.filter(({ sku }) => sku === null);
  const [only] = fitting;
  if (!only || fitting.length > 1)
    return unknown(
      only ? 'bKash shows several refunds of this amount.' : 'bKash does not show the refund.',
      evidence,
    );
  if (only.status === 'completed')
    return { state: 'refunded', providerRefundId: only.id, reason: null, evidence };
  return only.status === 'failed' || only.status === 'declined'
    ? { state: 'refused', providerRefundId: only.id, reason: 'bKash could not refund.', evidence }
    : unknown('bKash has not completed the refund yet.', evidence);
}

/** Some signs are refused in texts. */
function plain(text: string): string {
  return text.replace(/[<>&]/g, ' ').slice(0, mostText).trim() || 'refund';
}

function unknown(reason: string, evidence: Evidence): RefundTruth {
  return { state: 'unknown', providerRefundId: null, reason, evidence };
}

function refusedWith(reason: string, evidence: Evidence): RefundTruth {
  return { state: 'refused', providerRefundId: null, reason, evidence };
}

/** Nothing was sent, so that nothing moved. */
function untried(reason: string, evidence?: Evidence): RefundTruth {
  const none = { operation: 'refund', httpStatus: null, ms: 0, code: null, body: null };
  return refusedWith(reason, evidence ?? none);
}

function silence(error: unknown): RefundTruth {
  if (error instanceof ProviderSilent) return unknown('bKash did not answer.', error.evidence);
  if (error instanceof TokenUnavailable) return unknown(error.message, error.evidence);
  throw error;
}
