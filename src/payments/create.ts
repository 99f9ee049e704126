/** Beginning a payment: quote, limits, row, and only then the provider. */
import type { Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import { openWallet } from '../wallet/wallets.ts';
import { sealNonce } from './agreements.ts';
import { type Desk, methodNamed, methodOf } from './desk.ts';
import { newInvoice, newToken } from './identifiers.ts';
import { checkLimits } from './limits.ts';
import {
  type Opened,
  type Payer,
  type PaymentMethod,
  type ReturnAddresses,
  whyNotOpened,
} from './method.ts';
import { isOffered } from './offered.ts';
import { factsOf, nextQuestion, note, type Payment, paymentColumns, paymentOf } from './payment.ts';
import { isQuoteFor, type Quote, quoteFor, userRate, type Wish } from './quote.ts';
import { marketRate } from './rate.ts';
import { currentRules, type RulesVersion, rulesNamed } from './rules.ts';
import { become } from './settle.ts';

export interface Order {
  readonly userId: string;
  /** As the user spells it. */
  readonly method: string;
  readonly wish: Wish;
  readonly payer: Omit<Payer, 'reference'>;
  /** The client's Idempotency-Key; null for none. */
  readonly clientKey: string | null;
  /** Of a payment by a standing agreement, for which nobody is asked. */
  readonly automatic?: {
    /** The provider's id of the agreement. */
    readonly agreement: string;
    /** Asked under the lock of the account. */
    readonly stillDue: (sql: Statements) => Promise<boolean>;
  };
}

/**
 * What a payment would give.
 * @throws ApiError invalid_request for amounts out of bounds, payment_method_unavailable
 */
export async function quoteOrder(
  desk: Desk,
  methodId: string,
  wish: Wish,
): Promise<{
  readonly quote: Quote;
  readonly rules: RulesVersion;
  readonly method: PaymentMethod;
  readonly until: Date;
}> {
  const method = methodNamed(desk, methodId);
  const rules = await currentRules(desk.sql);
  if (!isOffered(rules.content, method))
    throw new ApiError('payment_method_unavailable', {
      message: `${method.name} is not available at the moment. Choose another way to pay.`,
    });
  const rate = userRate(await marketRate(desk, rules.content), rules.content.rate.margin);
  const quote = quoteFor(rules.content, method, rate, wish);
  return {
    quote,
    rules,
    method,
    until: new Date(Date.now() + rules.content.quoteMinutes * 60_000),
  };
}

/**
 * Begins a payment and opens it at the provider.
 * @throws ApiError as `quoteOrder`; payment_limit; idempotency_key_reused; payment_provider_failed with what to do
 */
export async function createPayment(desk: Desk, order: Order): Promise<Payment> {
  const known = await earlier(desk, order);
  if (known) return known;
  const { quote, rules, method, until } = await quoteOrder(desk, order.method, order.wish);
  const { token, hash } = newToken();
  const payment = await desk.sql.begin(async (sql) => {
    // One at a time for an account, so that its limits count what is begun beside this.
    await sql`SELECT 1 FROM users WHERE id = ${order.userId} FOR NO KEY UPDATE`;
    await checkLimits(sql, rules.content, order.userId, quote.amount);
    if (order.automatic && !(await order.automatic.stillDue(sql)))
      throw new ApiError('payment_conflict');
    const wallet = await openWallet(sql, order.userId);
    const [row] = await sql<Payment[]>`
      INSERT INTO payments AS p (id, user_id, wallet, method, environment, client_key, amount, fee, rate, credit, bonus, rules,
        cause, quoted_until, invoice, token_hash, seal, expires_at, ask_at)
      VALUES (${timeOrderedId()}, ${order.userId}, ${wallet}, ${method.id}, ${desk.mode}, ${order.clientKey}, ${quote.amount},
        ${quote.fee}, ${quote.rate}, ${quote.credit}, ${quote.bonus}, ${rules.id},
        ${order.automatic ? 'automatic' : 'user'}, ${until}, ${newInvoice()}, ${hash}, '',
        ${new Date(Date.now() + method.openForMs)}, clock_timestamp() + interval '2 minutes')
      ON CONFLICT (user_id, client_key) DO NOTHING
      RETURNING ${paymentColumns(sql)}`;
    if (row)
      await note(sql, row.id, {
        kind: 'created',
        actor: order.automatic ? 'server' : 'user',
        sentence: order.automatic ? 'The automatic top-up was begun.' : 'The top-up was begun.',
      });
    return row ?? null;
  });
  if (!payment) return createPayment(desk, order);
  const payer = { ...order.payer, reference: order.userId.replaceAll('-', '') };
  const addresses = addressesOf(desk, payment, token);
  return openPayment(desk, payment, () => {
    const facts = factsOf(payment);
    if (!order.automatic) return method.open(facts, payer, addresses);
    if (!method.agreements) throw new Error(`${method.name} has no agreements`);
    return method.agreements.charge(order.automatic.agreement, facts, payer, addresses);
  });
}

/**
 * The payment that the same key began before, whatever the rate and the rules are now.
 * @throws ApiError idempotency_key_reused where it was begun for something else
 */
async function earlier({ sql }: Desk, order: Order): Promise<Payment | null> {
  const { userId, clientKey, method, wish } = order;
  if (clientKey === null) return null;
  const [payment] = await sql<Payment[]>`
    SELECT ${paymentColumns(sql)} FROM payments p
    WHERE p.user_id = ${userId} AND p.client_key = ${clientKey}`;
  if (!payment) return null;
  const rules = await rulesNamed(sql, payment.rules);
  if (payment.method !== method || !isQuoteFor(rules, payment, wish))
    throw new ApiError('idempotency_key_reused');
  return payment;
}

function addressesOf({ origin }: Desk, { method }: Payment, token: string): ReturnAddresses {
  const place = `${origin()}/api/payments/${method}`;
  return {
    callback: `${place}/return/${token}`,
    cancel: `${place}/cancel/${token}`,
    webhook: `${place}/webhook/${token}`,
  };
}

async function openPayment(
  desk: Desk,
  payment: Payment,
  open: () => Promise<Opened>,
): Promise<Payment> {
  const method = methodOf(desk, payment.method);
  try {
    const opened = await open();
    const { cause, id } = payment;
    const nonce = cause === 'automatic' ? sealNonce(desk, id, opened.nonce) : opened.nonce;
    const [row] = await desk.sql<Payment[]>`
      UPDATE payments p SET state = 'pending', provider_id = ${opened.providerId}, nonce = ${nonce},
        redirect_url = ${opened.redirectUrl}, ask_at = ${nextQuestion(method, payment)}
      WHERE id = ${id} AND state = 'created' RETURNING ${paymentColumns(desk.sql)}`;
    await note(desk.sql, id, {
      kind: 'opened',
      actor: 'server',
      sentence: `${method.name} is ready for the payment.`,
      detail: opened.evidence,
    });
    return row ?? (await paymentOf(desk.sql, payment.id));
  } catch (error) {
    const { reason, evidence: detail } = whyNotOpened(method, error);
    await note(desk.sql, payment.id, { kind: 'opened', actor: 'server', sentence: null, detail });
    await become(desk, payment, { state: 'failed', reason }, method, 'server');
    throw new ApiError('payment_provider_failed', {
      message: `${reason} Nothing was paid. Try again in a few minutes, or choose another way to pay.`,
      cause: error,
    });
  }
}
