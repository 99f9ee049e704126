/** Writes to the owner of a payment what became of it, in the transaction in which it became so. */
import type { Statements } from '../db/database.ts';
import { compose } from '../mail/compose.ts';
import { enqueueMail } from '../mail/outbox.ts';
import type { Desk } from './desk.ts';
import { type News, paymentLetter } from './letters.ts';
import type { Payment } from './payment.ts';
import { paymentRecord } from './receipt.ts';

/**
 * What a desk tells of changes: one mail for each thing that an owner must know, however often it is told.
 * @param origin of the site
 */
export function tellOwner(origin: () => string): Desk['changed'] {
  return async (sql, payment) => {
    const news = await newsOf(sql, payment);
    const record = news && (await paymentRecord(sql, payment.id));
    if (!record) return;
    const { language, email: to } = record;
    const url = `${origin()}/api/topups/${payment.id}/receipt.pdf`;
    const content = compose(
      language,
      paymentLetter(record, news, url),
      payment.environment === 'sandbox',
    );
    await enqueueMail(sql, {
      to,
      language,
      key: `payment:${payment.id}:${payment.state}`,
      ...content,
    });
  };
}

/** Who cancels or lets a payment lapse has seen so; that what they agreed to, or handed in, came to nothing they have not. */
async function newsOf(sql: Statements, payment: Payment): Promise<News | null> {
  const { state } = payment;
  if (state === 'credited' || state === 'needs_review' || state === 'refunded') return state;
  if (state !== 'failed' && state !== 'expired') return null;
  if (payment.captureAskedAt) return 'failed';
  const [row] = await sql<{ rejected: boolean }[]>`
    SELECT rejected_at IS NOT NULL AS rejected FROM payments WHERE id = ${payment.id}`;
  return row?.rejected ? 'failed' : null;
}
