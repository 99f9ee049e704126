/** `akai payment show`: all that is known of a payment, in sentences. */
import type { Refund } from '../payments/refund.ts';
import type { ReviewedPayment, TimelineEntry } from '../payments/review_list.ts';
import { formatTaka, paisa } from '../payments/taka.ts';
import { formatUsd } from '../wallet/money.ts';
import { refundLine, reviewDoubts } from './payment_texts.ts';

export function paymentStory(
  payment: ReviewedPayment,
  refunds: readonly Refund[],
  timeline: readonly TimelineEntry[],
): string {
  const { id, state, reason, amount, fee, method, email, createdAt, credit, bonus } = payment;
  const { trxId, payerShown, providerId, corrects, refunded, invoice, creditedAt } = payment;
  const by = payment.cause === 'automatic' ? ', by an agreement' : '';
  const facts = [
    `Payment ${id} of ৳${formatTaka(amount)} by ${method}, invoice ${invoice}, is ${state}.`,
    reason ? ended(reason) : '',
    `${email} began it at ${createdAt.toISOString()}${by}.`,
    `It gives $${formatUsd(credit)}${bonus > 0 ? ` and a bonus of $${formatUsd(bonus)}` : ''}, at ৳${payment.rate / 1e6} a dollar${fee > 0 ? ` after a fee of ৳${formatTaka(fee)}` : ''}.`,
    trxId ? `It was paid by transaction ${trxId}${payerShown ? `, from ${payerShown}` : ''}.` : '',
    providerId && providerId !== invoice ? `At its provider it is ${providerId}.` : '',
    creditedAt ? `It was credited at ${creditedAt.toISOString()}.` : '',
    corrects ? `It stands in the place of payment ${corrects}.` : '',
    refunded > 0 ? `৳${formatTaka(refunded)} went back, or are on their way.` : '',
  ];
  const events = timeline.map(
    (entry) => `    ${entry.at.toISOString()}  ${entry.actor}: ${ended(eventText(entry))}`,
  );
  return [
    ...facts.filter(Boolean),
    ...reviewDoubts(payment),
    ...refunds.map((refund) => `Refund ${refundLine(refund)}`),
    'What happened:',
    ...events,
  ].join('\n');
}

function ended(sentence: string): string {
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}

/** What its owner reads; else what was noted for the operator, as far as there is anything. */
function eventText({ kind, sentence, detail }: TimelineEntry): string {
  if (sentence) return sentence;
  const noted = new Map<string, unknown>(
    typeof detail === 'object' && detail !== null ? Object.entries(detail) : [],
  );
  const text = (name: string): string => {
    const value = noted.get(name);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  if (kind === 'approved')
    return `approved ৳${formatTaka(paisa(Number(noted.get('received') ?? 0)))} by ${text('trxId')}`;
  const said = text('state') || text('found') || text('said');
  const more = [
    text('trxId') && `transaction ${text('trxId')}`,
    text('claimedId') && `named ${text('claimedId')}`,
    text('code') && `code ${text('code')}`,
    text('httpStatus') && `HTTP ${text('httpStatus')}`,
    text('reason'),
  ].filter(Boolean);
  return [kind, said && ` says ${said}`, more.length > 0 && ` (${more.join(', ')})`]
    .filter(Boolean)
    .join('');
}
