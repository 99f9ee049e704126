/** What a webhook that is to be believed leads to: the payment it speaks of is settled, money of no payment is listed. */
import type { Desk } from './desk.ts';
import type { Hint, PaymentMethod } from './method.ts';
import { note, type Payment, paymentByToken, paymentColumns } from './payment.ts';
import { settle } from './settle.ts';
import { recordReceipt } from './unmatched.ts';

/** @param token from its address, where the provider was given one for each payment */
export async function hearWebhook(
  desk: Desk,
  method: PaymentMethod,
  hint: Hint,
  token: string | null,
): Promise<void> {
  if (!(await isNews(desk, method, hint))) return;
  const payment = await spokenOf(desk, method, hint, token);
  if (!payment) {
    await recordReceipt(desk, method.id, hint);
    return;
  }
  const { evidence, providerId } = hint;
  await note(desk.sql, payment.id, {
    kind: 'webhook',
    actor: 'provider',
    sentence: null,
    detail: evidence,
  });
  // Money has moved already, as far as it is true: to be asked about, not to be captured.
  await settle(desk, payment.id, {
    actor: 'provider',
    claim: { claims: 'unknown', providerId, nonce: null },
  });
}

/** Providers that number their messages send each until it is answered, and sometimes after. */
async function isNews({ sql }: Desk, { id }: PaymentMethod, { messageId }: Hint): Promise<boolean> {
  if (messageId === null) return true;
  const rows = await sql`
    INSERT INTO payment_webhooks (method, message_id) VALUES (${id}, ${messageId}) ON CONFLICT DO NOTHING RETURNING 1`;
  return rows.length > 0;
}

async function spokenOf(
  { sql }: Desk,
  { id }: PaymentMethod,
  { invoice, providerId }: Hint,
  token: string | null,
): Promise<Payment | null> {
  if (token !== null) {
    const payment = await paymentByToken(sql, token);
    const fits = payment?.method === id && (invoice === null || invoice === payment.invoice);
    return fits ? payment : null;
  }
  const [row] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE p.method = ${id} AND (p.invoice = ${invoice} OR p.provider_id = ${providerId}) LIMIT 1`;
  return row ?? null;
}
