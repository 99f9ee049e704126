/** Standing agreements: a payer permits once, on the provider's page, that later payments are taken without them. */
import { seal, unseal } from '../accounts/secret.ts';
import { isUniqueViolation } from '../db/connection.ts';
import { ApiError } from '../errors.ts';
import { timeOrderedId } from '../ids.ts';
import { type Desk, methodNamed, methodOf } from './desk.ts';
import { newInvoice, newToken, tokenHash } from './identifiers.ts';
import {
  type Agreements,
  type MethodId,
  type Payer,
  type PaymentMethod,
  whyNotOpened,
} from './method.ts';
import { isOffered } from './offered.ts';
import type { Payment } from './payment.ts';
import { currentRules } from './rules.ts';

export interface Agreement {
  readonly id: string;
  readonly userId: string;
  readonly method: MethodId;
  /** created, pending: the payer is asked · active · ending: not used any more, the provider has not confirmed its end · ended, failed */
  readonly state: 'created' | 'pending' | 'active' | 'ending' | 'ended' | 'failed';
  readonly reason: string | null;
  readonly redirectUrl: string | null;
  /** Masked. */
  readonly payerShown: string | null;
  readonly createdAt: Date;
  readonly agreedAt: Date | null;
}

interface Stored extends Agreement {
  readonly requestId: string | null;
  readonly agreement: Buffer | null;
}

/** How often the provider is asked again to end an agreement. */
const endAgain = '1 hour';
/** What nobody came back from by then is over; who came back and got no answer is asked about for longer. */
const openFor = '1 day';
const askedFor = '7 days';

function columns(sql: Desk['sql']) {
  return sql`id, user_id AS "userId", method, state, reason, redirect_url AS "redirectUrl", payer_shown AS "payerShown",
    created_at AS "createdAt", agreed_at AS "agreedAt", request_id AS "requestId", agreement`;
}

/** What the provider's id is sealed with beside the installation's secret: it opens in its own row only. */
function sealName(id: string): string {
  return `payment agreement ${id}`;
}

/** The provider's id of an agreement. @throws Error where it was sealed with another secret */
export function agreementId(desk: Desk, id: string, sealed: Buffer): string {
  const text = unseal(desk.secret, sealName(id), sealed);
  if (text === null) throw new Error(`agreement ${id} was sealed with another secret`);
  return text;
}

const sealedNonce = 'sealed:';

/** What a method wishes to have kept of a payment by agreement: money can be taken by it. @param id of the payment */
export function sealNonce({ secret }: Desk, id: string, nonce: string | null): string | null {
  if (nonce === null) return null;
  return sealedNonce + seal(secret, `payment nonce ${id}`, nonce).toString('base64');
}

/** As the method gave it. @throws Error where it was sealed with another secret */
export function openNonce({ secret }: Desk, { id, nonce }: Payment): string | null {
  // Of payments of one's own it is no secret, and was none of the others before.
  if (!nonce?.startsWith(sealedNonce)) return nonce;
  const sealed = Buffer.from(nonce.slice(sealedNonce.length), 'base64');
  const text = unseal(secret, `payment nonce ${id}`, sealed);
  if (text === null) throw new Error(`payment ${id} was begun with another secret`);
  return text;
}

/** @throws ApiError payment_method_unavailable for one that has no agreements */
function agreementsOf(method: PaymentMethod): Agreements {
  if (method.agreements) return method.agreements;
  throw new ApiError('payment_method_unavailable', {
    param: 'method',
    message: `${method.name} cannot be charged automatically. Choose another way to pay.`,
  });
}

/** The one that is used, or else the latest; null where there was none. */
export async function agreementOf({ sql }: Desk, userId: string): Promise<Agreement | null> {
  const [row] = await sql<Stored[]>`
    SELECT ${columns(sql)} FROM payment_agreements WHERE user_id = ${userId} ORDER BY state = 'active' DESC, id DESC LIMIT 1`;
  if (!row) return null;
  const { requestId: _request, agreement: _sealed, ...shown } = row;
  return shown;
}

/**
 * Asks a provider for an agreement; the payer goes to `redirectUrl` and comes back to `concludeAgreement`.
 * @throws ApiError payment_method_unavailable, agreement_exists, payment_provider_failed
 */
export async function openAgreement(
  desk: Desk,
  userId: string,
  methodId: string,
  payer: Omit<Payer, 'reference'>,
): Promise<Agreement> {
  const method = methodNamed(desk, methodId);
  const agreements = agreementsOf(method);
  const { content } = await currentRules(desk.sql);
  if (!isOffered(content, method)) throw new ApiError('payment_method_unavailable');
  if ((await agreementOf(desk, userId))?.state === 'active') throw new ApiError('agreement_exists');
  const { token, hash } = newToken();
  const id = timeOrderedId();
  const invoice = newInvoice();
  await desk.sql`
    INSERT INTO payment_agreements (id, user_id, method, environment, invoice, token_hash)
    VALUES (${id}, ${userId}, ${method.id}, ${desk.mode}, ${invoice}, ${hash})`;
  const callback = `${desk.origin()}/api/payments/${method.id}/agreement/${token}`;
  const addresses = { callback, cancel: callback, webhook: callback };
  try {
    const reference = userId.replaceAll('-', '');
    const opened = await agreements.open(invoice, { ...payer, reference }, addresses);
    const [row] = await desk.sql<Agreement[]>`
      UPDATE payment_agreements SET state = 'pending', request_id = ${opened.providerId}, redirect_url = ${opened.redirectUrl}, changed_at = now()
      WHERE id = ${id} RETURNING ${columns(desk.sql)}`;
    if (!row) throw new Error(`agreement ${id} vanished`);
    return row;
  } catch (error) {
    const { reason } = whyNotOpened(method, error);
    await fail(desk, id, reason);
    throw new ApiError('payment_provider_failed', { message: reason, cause: error });
  }
}

async function fail({ sql }: Desk, id: string, reason: string): Promise<void> {
  await sql`
    UPDATE payment_agreements SET state = 'failed', reason = ${reason}, changed_at = now() WHERE id = ${id} AND state IN ('created', 'pending')`;
}

/** The account that asked for the agreement of a token; null where there is none. */
export async function accountOfAgreement(
  { sql }: Desk,
  methodId: string,
  token: string,
): Promise<string | null> {
  const [row] = await sql<{ userId: string }[]>`
    SELECT user_id AS "userId" FROM payment_agreements WHERE token_hash = ${tokenHash(token)} AND method = ${methodId}`;
  return row?.userId ?? null;
}

/**
 * What a browser that comes back stands for; asks the provider, whatever the browser says. Again changes nothing.
 * Returns null for a token of no agreement.
 */
export async function concludeAgreement(
  desk: Desk,
  methodId: string,
  token: string,
): Promise<Agreement | null> {
  const { sql } = desk;
  const [row] = await sql<Stored[]>`
    SELECT ${columns(sql)} FROM payment_agreements WHERE token_hash = ${tokenHash(token)} AND method = ${methodId}`;
  return row ? conclude(desk, row) : null;
}

/**
 * Only for who came back signed in as the account that asked: else somebody could send their page to another, whose wallet
 * would pay for them. That they came is written down first, so that another process may go on.
 */
async function conclude(desk: Desk, row: Stored): Promise<Agreement> {
  const { sql } = desk;
  if (row.state !== 'pending' || !row.requestId) return row;
  await sql`
    UPDATE payment_agreements SET ask_at = now() + greatest(interval '1 minute', now() - created_at)
    WHERE id = ${row.id} AND state = 'pending'`;
  const concluded = await agreementsOf(methodOf(desk, row.method)).conclude(row.requestId);
  // It may be agreed to later, with the same page.
  if (!concluded) return row;
  const sealed = seal(desk.secret, sealName(row.id), concluded.agreementId);
  try {
    // The request may have had the agreement's own id.
    const [active] = await sql<Agreement[]>`
      UPDATE payment_agreements SET state = 'active', agreement = ${sealed}, payer_shown = ${concluded.payer},
        agreed_at = now(), changed_at = now(), ask_at = NULL, reason = NULL, redirect_url = NULL, request_id = NULL
      WHERE id = ${row.id} AND state = 'pending' RETURNING ${columns(sql)}`;
    return active ?? (await agreementOf(desk, row.userId)) ?? row;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Two were agreed to: the second is not wanted.
    await sql`
      UPDATE payment_agreements SET state = 'ending', agreement = ${sealed}, agreed_at = now(), changed_at = now(), ask_at = now(),
        request_id = NULL, reason = 'Another agreement was active already.' WHERE id = ${row.id} AND state = 'pending'`;
    await endAtProvider(desk, row.id);
    return (await agreementOf(desk, row.userId)) ?? row;
  }
}

/**
 * Ends the agreement of an account: from now on nothing is charged, whether or not the provider answers.
 * @throws ApiError not_found
 */
export async function endAgreement(desk: Desk, userId: string): Promise<Agreement> {
  const [row] = await desk.sql<Agreement[]>`
    UPDATE payment_agreements SET state = 'ending', ask_at = now(), changed_at = now() WHERE user_id = ${userId} AND state = 'active'
    RETURNING ${columns(desk.sql)}`;
  if (!row) throw new ApiError('not_found', { message: 'There is no agreement to end.' });
  await endAtProvider(desk, row.id);
  return (await agreementOf(desk, userId)) ?? row;
}

/** Asks the provider to end it, and later again where it does not confirm. */
async function endAtProvider(desk: Desk, id: string): Promise<void> {
  const { sql } = desk;
  const [row] = await sql<Stored[]>`
    UPDATE payment_agreements SET ask_at = now() + ${endAgain}::interval WHERE id = ${id} AND state = 'ending' AND ask_at <= now()
    RETURNING ${columns(sql)}`;
  if (!row?.agreement) return;
  const agreements = agreementsOf(methodOf(desk, row.method));
  if (await agreements.cancel(agreementId(desk, id, row.agreement)))
    await sql`
      UPDATE payment_agreements SET state = 'ended', ask_at = NULL, changed_at = now() WHERE id = ${id} AND state = 'ending'`;
}

/** Goes on with what a process left, or a provider did not answer, and ends what nobody came back from. */
export async function tendAgreements(desk: Desk): Promise<void> {
  const { sql } = desk;
  const due = await sql<Stored[]>`
    SELECT ${columns(sql)} FROM payment_agreements WHERE ask_at <= now() AND state IN ('ending', 'pending') ORDER BY ask_at LIMIT 20`;
  for (const row of due) {
    if (row.state === 'pending') await conclude(desk, row);
    else await endAtProvider(desk, row.id);
  }
  // Nothing is taken by what was never concluded.
  await sql`
    UPDATE payment_agreements SET state = 'failed', reason = 'It was not agreed to in time.', changed_at = now(), ask_at = NULL
    WHERE state IN ('created', 'pending')
      AND created_at < now() - CASE WHEN ask_at IS NULL THEN ${openFor} ELSE ${askedFor} END::interval`;
}
