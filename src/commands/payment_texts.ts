/** How the commands of payments tell of payments and refunds. */
import { paymentJson, refundJson } from '../payments/admin_json.ts';
import type { Payment } from '../payments/payment.ts';
import type { Refund } from '../payments/refund.ts';
import type { ReviewedPayment } from '../payments/review_list.ts';
import { formatTaka } from '../payments/taka.ts';
import type { Said } from './said.ts';

export function paymentLine(payment: Payment & { readonly email?: string }): string {
  const { id, state, amount, method, trxId, email, reason, createdAt } = payment;
  const words = [id, createdAt.toISOString(), state.padEnd(12), `৳${formatTaka(amount)}`, method];
  return [...words, trxId, email, reason].filter(Boolean).join('  ');
}

export function paymentSaid(payment: Payment): Said {
  const reason = payment.reason ? ` ${payment.reason}` : '';
  const text = `Payment ${payment.id} of ৳${formatTaka(payment.amount)} is ${payment.state}.${reason}`;
  return { json: paymentJson(payment), text };
}

export function reviewLines(payment: ReviewedPayment): string[] {
  return [paymentLine(payment), ...reviewDoubts(payment)];
}

/** What tells honest payments from others. */
export function reviewDoubts({
  accountAgeDays,
  creditedBefore,
  rejectedBefore,
  claims,
  approvals,
}: ReviewedPayment): string[] {
  return [
    `    account of ${accountAgeDays} days, ${creditedBefore} credited, ${rejectedBefore} rejected`,
    ...claims.map(({ trxId, payerShown, belongsTo, alsoClaimedBy, senderAccounts }) => {
      const doubts = [
        belongsTo ? `belongs to ${belongsTo}` : '',
        alsoClaimedBy.length > 0 ? `also claimed by ${alsoClaimedBy.join(', ')}` : '',
        senderAccounts > 1 ? `this number paid for ${senderAccounts} accounts` : '',
      ].filter(Boolean);
      return `    claims ${[trxId, payerShown, ...doubts].filter(Boolean).join(', ')}`;
    }),
    ...approvals.map(
      ({ who, received, trxId }) => `    ${who} saw ৳${formatTaka(received)} by ${trxId}`,
    ),
  ];
}

export function refundLine({ id, payment, state, amount, note, createdAt }: Refund): string {
  const words = [id, createdAt.toISOString(), state.padEnd(12), `৳${formatTaka(amount)}`];
  return [...words, `of ${payment}`, note].filter(Boolean).join('  ');
}

export function refundSaid(made: Refund): Said {
  const { id, amount, state, note } = made;
  const text = `Refund ${id} of ৳${formatTaka(amount)} is ${state}.${note ? ` ${note}` : ''}`;
  return { json: refundJson(made), text };
}
