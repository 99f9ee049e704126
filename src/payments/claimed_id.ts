/**
 * The provider's id of a payment where only the payer's browser or a webhook brings it (UddoktaPay). Whoever brings it may
 * bring that of another payment, and it is kept for ever: so the provider is asked first whose it is.
 */
import { type Desk, methodOf } from './desk.ts';
import { factsOf, note, type Payment, paymentOf } from './payment.ts';

/** As many as are tried again: of a payment that nobody plays with there is one. */
const mostClaims = 5;

/**
 * Writes down an id that was brought, before anything else is done with it, so that whoever looks next tries it: the browser
 * does not come back twice.
 * @param actor `browser`, `provider`, `server`, or the address of an admin
 */
export async function noteClaimedId(
  { sql }: Desk,
  { id, providerId }: Payment,
  claimed: string,
  actor: string,
): Promise<void> {
  if (providerId !== null) return;
  const detail = { claimedId: claimed };
  await note(sql, id, { kind: 'returned', actor, sentence: null, detail });
}

/** Whether the provider can be asked about a payment: its id is known, or one was brought that may be its own. */
export async function canBeAskedAbout(
  { sql }: Desk,
  { id, providerId }: Payment,
): Promise<boolean> {
  if (providerId !== null) return true;
  const rows = await sql`
    SELECT 1 FROM payment_events WHERE payment = ${id} AND kind = 'returned' AND detail ? 'claimedId' LIMIT 1`;
  return rows.length > 0;
}

/**
 * Keeps the id that the provider says is of this payment's invoice, of those that were ever brought.
 * @param claimed what was brought now; null for nothing, or for what is written down already
 * @param actor as above
 * @returns the payment as it is then
 */
export async function learnProviderId(
  desk: Desk,
  payment: Payment,
  claimed: string | null,
  actor: string,
): Promise<Payment> {
  if (payment.providerId !== null) return payment;
  const { sql } = desk;
  if (claimed !== null) await noteClaimedId(desk, payment, claimed, actor);
  const brought = await sql<{ id: string }[]>`
    SELECT detail ->> 'claimedId' AS id FROM payment_events
    WHERE payment = ${payment.id} AND kind = 'returned' AND detail ? 'claimedId'
    GROUP BY 1 ORDER BY max(id) DESC LIMIT ${mostClaims}`;
  const method = methodOf(desk, payment.method);
  for (const { id } of brought) {
    const truth = await method.ask({ ...factsOf(payment), providerId: id });
    const { state, trxId, amount, reason, evidence } = truth;
    const detail = { ...evidence, state, trxId, amount, reason };
    await note(sql, payment.id, { kind: evidence.operation, actor, sentence: null, detail });
    if (truth.providerId !== id || truth.invoice !== payment.invoice) continue;
    await sql`UPDATE payments SET provider_id = ${id} WHERE id = ${payment.id} AND provider_id IS NULL`;
    break;
  }
  return paymentOf(sql, payment.id);
}
