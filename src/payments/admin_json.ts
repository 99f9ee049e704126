/** Payments and refunds as the operator's commands and endpoints show them: taka and dollars with every digit. */
import { exactUsd } from '../wallet/money.ts';
import type { Difference } from './compare.ts';
import type { Paisa } from './method.ts';
import type { Payment } from './payment.ts';
import type { Refund } from './refund.ts';
import type { ReviewedPayment, TimelineEntry } from './review_list.ts';
import { formatTaka } from './taka.ts';
import type { UnmatchedReceipt } from './unmatched.ts';

function exactTaka(amount: Paisa): unknown {
  return JSON.rawJSON(formatTaka(amount));
}

function exactRate(rate: number): unknown {
  return JSON.rawJSON(`${Math.floor(rate / 1e6)}.${String(rate % 1e6).padStart(6, '0')}`);
}

export function paymentJson(payment: Payment & { readonly email?: string }) {
  return {
    id: payment.id,
    user: payment.userId,
    email: payment.email ?? null,
    method: payment.method,
    environment: payment.environment,
    state: payment.state,
    reason: payment.reason,
    taka: exactTaka(payment.amount),
    fee_taka: exactTaka(payment.fee),
    rate: exactRate(payment.rate),
    credit_usd: exactUsd(payment.credit),
    bonus_usd: exactUsd(payment.bonus),
    refunded_taka: exactTaka(payment.refunded),
    invoice: payment.invoice,
    provider_id: payment.providerId,
    trx_id: payment.trxId,
    payer: payment.payerShown,
    late: payment.late,
    cause: payment.cause,
    corrects: payment.corrects,
    rules: payment.rules,
    created_at: payment.createdAt,
    quoted_until: payment.quotedUntil,
    expires_at: payment.expiresAt,
    paid_at: payment.paidAt,
    verified_at: payment.verifiedAt,
    held_until: payment.heldUntil,
    credited_at: payment.creditedAt,
    rejected_at: payment.rejectedAt,
    ask_at: payment.askAt,
    asked: payment.asked,
  };
}

export function reviewJson(payment: ReviewedPayment) {
  const { accountAgeDays, creditedBefore, rejectedBefore, claims, approvals } = payment;
  return {
    ...paymentJson(payment),
    account_age_days: accountAgeDays,
    credited_before: creditedBefore,
    rejected_before: rejectedBefore,
    claims: claims.map((claim) => ({
      trx_id: claim.trxId,
      sent_to: claim.sentTo,
      payer: claim.payerShown,
      created_at: claim.createdAt,
      also_claimed_by: claim.alsoClaimedBy,
      belongs_to: claim.belongsTo,
      sender_payments: claim.senderPayments,
      sender_accounts: claim.senderAccounts,
    })),
    approvals: approvals.map(({ who, received, trxId }) => ({
      who,
      received_taka: exactTaka(received),
      trx_id: trxId,
    })),
  };
}

export function timelineJson({ at, kind, actor, sentence, detail }: TimelineEntry) {
  return { at, kind, actor, sentence, detail };
}

export function refundJson(refund: Refund) {
  return {
    id: refund.id,
    payment: refund.payment,
    reference: refund.reference,
    state: refund.state,
    taka: exactTaka(refund.amount),
    credit_usd: exactUsd(refund.credit),
    bonus_usd: exactUsd(refund.bonus),
    reason: refund.reason,
    by: refund.who,
    provider_refund_id: refund.providerRefundId,
    note: refund.note,
    created_at: refund.createdAt,
    changed_at: refund.changedAt,
  };
}

export function receiptJson(receipt: UnmatchedReceipt) {
  return {
    id: receipt.id,
    method: receipt.method,
    trx_id: receipt.trxId,
    taka: exactTaka(receipt.amount),
    payer: receipt.payerShown,
    paid_at: receipt.paidAt,
    source: receipt.source,
    created_at: receipt.createdAt,
    resolved_at: receipt.resolvedAt,
    resolution: receipt.resolution,
    by: receipt.who,
  };
}

export function differenceJson({ payment, method, trxId, amount, found, at }: Difference) {
  return { payment, method, trx_id: trxId, taka: exactTaka(amount), found, at };
}
