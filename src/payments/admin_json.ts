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
    feeTaka: exactTaka(payment.fee),
    rate: exactRate(payment.rate),
    creditUsd: exactUsd(payment.credit),
    bonusUsd: exactUsd(payment.bonus),
    refundedTaka: exactTaka(payment.refunded),
    invoice: payment.invoice,
    providerId: payment.providerId,
    trxId: payment.trxId,
    payer: payment.payerShown,
    late: payment.late,
    cause: payment.cause,
    corrects: payment.corrects,
    rules: payment.rules,
    createdAt: payment.createdAt,
    quotedUntil: payment.quotedUntil,
    expiresAt: payment.expiresAt,
    paidAt: payment.paidAt,
    verifiedAt: payment.verifiedAt,
    heldUntil: payment.heldUntil,
    creditedAt: payment.creditedAt,
    rejectedAt: payment.rejectedAt,
    askAt: payment.askAt,
    asked: payment.asked,
  };
}

export function reviewJson(payment: ReviewedPayment) {
  const { accountAgeDays, creditedBefore, rejectedBefore, claims, approvals } = payment;
  return {
    ...paymentJson(payment),
    accountAgeDays: accountAgeDays,
    creditedBefore: creditedBefore,
    rejectedBefore: rejectedBefore,
    claims: claims.map((claim) => ({
      trxId: claim.trxId,
      sentTo: claim.sentTo,
      payer: claim.payerShown,
      createdAt: claim.createdAt,
      alsoClaimedBy: claim.alsoClaimedBy,
      belongsTo: claim.belongsTo,
      senderPayments: claim.senderPayments,
      senderAccounts: claim.senderAccounts,
    })),
    approvals: approvals.map(({ who, received, trxId }) => ({
      who,
      receivedTaka: exactTaka(received),
      trxId: trxId,
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
    creditUsd: exactUsd(refund.credit),
    bonusUsd: exactUsd(refund.bonus),
    reason: refund.reason,
    by: refund.who,
    providerRefundId: refund.providerRefundId,
    note: refund.note,
    createdAt: refund.createdAt,
    changedAt: refund.changedAt,
  };
}

export function receiptJson(receipt: UnmatchedReceipt) {
  return {
    id: receipt.id,
    method: receipt.method,
    trxId: receipt.trxId,
    taka: exactTaka(receipt.amount),
    payer: receipt.payerShown,
    paidAt: receipt.paidAt,
    source: receipt.source,
    createdAt: receipt.createdAt,
    resolvedAt: receipt.resolvedAt,
    resolution: receipt.resolution,
    by: receipt.who,
  };
}

export function differenceJson({ payment, method, trxId, amount, found, at }: Difference) {
  return { payment, method, trxId: trxId, taka: exactTaka(amount), found, at };
}
