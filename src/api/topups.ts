/** Top-ups of who is signed in: what ways to pay there are, what a payment would give, begin one, follow it. */
import { z } from 'zod';
import { takeAttempt } from '../accounts/attempts.ts';
import { ApiError } from '../errors.ts';
import { handIn } from '../payments/claims.ts';
import { createPayment, quoteOrder } from '../payments/create.ts';
import { manualAccounts, manualClaim } from '../payments/manual.ts';
import type { Paisa } from '../payments/method.ts';
import { isOffered, offeredMethods } from '../payments/offered.ts';
import { findPayment, type Payment, paymentsOf, timelineOf } from '../payments/payment.ts';
import type { Quote, Wish } from '../payments/quote.ts';
import { rescue } from '../payments/rescue.ts';
import { currentRules } from '../payments/rules.ts';
import { settle } from '../payments/settle.ts';
import { formatTaka } from '../payments/taka.ts';
import { exactUsd } from '../wallet/money.ts';
import { forUser } from './endpoint.ts';
import { id, moment, taka, takaGiven, usd, usdGiven } from './forms.ts';
import type { Visit } from './visit.ts';

const exactTaka = (amount: Paisa): unknown => JSON.rawJSON(formatTaka(amount));
/** Taka a US dollar. */
const exactRate = (rate: number): unknown =>
  JSON.rawJSON(`${Math.floor(rate / 1e6)}.${String(rate % 1e6).padStart(6, '0')}`);

const wished = z.strictObject({
  method: z.string().meta({ examples: ['bkash'] }),
  taka: takaGiven.optional(),
  usd: usdGiven.optional(),
});

/** @throws ApiError where not one of the two is given */
function wishIn({ taka: amount, usd: credit }: z.output<typeof wished>): Wish {
  if (amount !== undefined && credit === undefined) return { paisa: amount };
  if (credit !== undefined && amount === undefined) return { nano: credit };
  throw new ApiError('invalid_request', {
    param: 'taka',
    message: 'Say either "taka", what you pay, or "usd", the credit that you want.',
  });
}

const quoted = {
  method: z.string(),
  taka,
  feeTaka: taka,
  rate: taka.meta({ examples: [122] }),
  creditUsd: usd,
  bonusUsd: usd,
};

function quoteJson(method: string, { amount, fee, rate, credit, bonus }: Quote) {
  return {
    method,
    taka: exactTaka(amount),
    feeTaka: exactTaka(fee),
    rate: exactRate(rate),
    creditUsd: exactUsd(credit),
    bonusUsd: exactUsd(bonus),
  };
}

const topup = z.object({
  id,
  state: z.string().meta({ examples: ['pending'] }),
  reason: z.string().nullable(),
  ...quoted,
  redirectUrl: z.string().nullable(),
  trxId: z.string().nullable(),
  payer: z.string().nullable(),
  refundedTaka: taka,
  createdAt: moment,
  quotedUntil: moment,
  expiresAt: moment,
  heldUntil: moment.nullable(),
  creditedAt: moment.nullable(),
});

function topupJson(payment: Payment): z.input<typeof topup> {
  const isOpen = payment.state === 'pending';
  return {
    id: payment.id,
    state: payment.state,
    reason: payment.reason,
    ...quoteJson(payment.method, payment),
    redirectUrl: isOpen ? payment.redirectUrl : null,
    trxId: payment.trxId,
    payer: payment.payerShown,
    refundedTaka: exactTaka(payment.refunded),
    createdAt: payment.createdAt,
    quotedUntil: payment.quotedUntil,
    expiresAt: payment.expiresAt,
    heldUntil: payment.state === 'verified' ? payment.heldUntil : null,
    creditedAt: payment.creditedAt,
  };
}

export const topupMethods = forUser({
  summary: 'Ways to pay, with their bounds and fees, and amounts to choose from.',
  answer: z.object({
    methods: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        available: z.boolean(),
        leastTaka: taka,
        mostTaka: taka,
        feePercent: z.string(),
        feeFixedTaka: z.string(),
      }),
    ),
    presetsTaka: z.array(z.number()),
    bonuses: z.array(z.object({ fromTaka: z.number(), percent: z.string() })),
  }),
  handle: async ({ site: { desk } }) => {
    const { content } = await currentRules(desk.sql);
    return {
      methods: offeredMethods(desk, content).map(({ method, bounds, fee }) => ({
        id: method.id,
        name: method.name,
        available: isOffered(content, method),
        leastTaka: exactTaka(bounds.least),
        mostTaka: exactTaka(bounds.most),
        feePercent: fee.percent,
        feeFixedTaka: fee.fixed,
      })),
      presetsTaka: content.presets,
      bonuses: content.bonuses.map(({ from, percent }) => ({ fromTaka: from, percent })),
    };
  },
});

export const quoteTopup = forUser({
  summary: 'What a payment would give: rate, fee, credit. Nothing is begun.',
  body: wished,
  answer: z.object({ ...quoted, quotedUntil: moment }),
  errors: ['payment_method_unavailable'],
  handle: async ({ site: { desk }, body }) => {
    const { quote, method, until } = await quoteOrder(desk, body.method, wishIn(body));
    return { ...quoteJson(method.id, quote), quotedUntil: until };
  },
});

/** @throws ApiError invalid_request for one that is too long */
function clientKey({ request }: Visit): string | null {
  const key = request.headers.get('idempotency-key');
  if (key !== null && (key === '' || key.length > 255))
    throw new ApiError('invalid_request', {
      message: 'An Idempotency-Key has 1 to 255 characters.',
    });
  return key;
}

export const beginTopup = forUser({
  summary:
    'Begin a top-up. Send the browser to redirectUrl to pay. The same Idempotency-Key begins one top-up.',
  body: wished,
  status: 201,
  answer: topup,
  errors: [
    'payment_limit',
    'payment_method_unavailable',
    'payment_provider_failed',
    'idempotency_key_reused',
  ],
  handle: async ({ site: { desk }, user, body, visit }) =>
    topupJson(
      await createPayment(desk, {
        userId: user.id,
        method: body.method,
        wish: wishIn(body),
        clientKey: clientKey(visit),
        payer: {
          name: user.name,
          email: user.email,
          address: visit.address,
          mobile: /\b(?:Mobile|Android|iPhone)\b/i.test(visit.userAgent),
        },
      }),
    ),
});

const most = 100;

export const topups = forUser({
  summary: 'Top-ups, newest first, by the page.',
  query: z.strictObject({
    limit: z.coerce.number().int().min(1).max(most).default(20),
    before: id.optional(),
  }),
  answer: z.object({ topups: z.array(topup), hasMore: z.boolean() }),
  handle: async ({ site: { desk }, user, query: { limit, before } }) => {
    const found = await paymentsOf(desk.sql, user.id, limit + 1, before ?? null);
    return { topups: found.slice(0, limit).map(topupJson), hasMore: found.length > limit };
  },
});

const oneTopup = z.object({
  ...topup.shape,
  timeline: z.array(z.object({ at: moment, sentence: z.string() })),
});

export const showTopup = forUser({
  summary: 'A top-up, with everything that happened to it.',
  params: z.object({ id }),
  answer: oneTopup,
  errors: ['user_mismatch'],
  handle: async ({ site: { desk }, user, params }) => {
    const payment = await ownPayment(desk.sql, user.id, params.id);
    return { ...topupJson(payment), timeline: await timelineOf(desk.sql, payment.id) };
  },
});

/** Questions to providers that an account may cause. */
const checks = { most: 120, everyMs: 600_000 };

export const checkTopup = forUser({
  summary: 'Ask the provider now what became of a top-up.',
  params: z.object({ id }),
  answer: oneTopup,
  errors: ['user_mismatch', 'too_many_attempts'],
  handle: async ({ site: { desk }, user, params }) => {
    await takeAttempt(desk.sql, 'checks of', user.id, checks);
    const { id: own } = await ownPayment(desk.sql, user.id, params.id);
    const payment = await settle(desk, own, { actor: 'user' });
    return { ...topupJson(payment), timeline: await timelineOf(desk.sql, own) };
  },
});

export const rescueTopup = forUser({
  summary:
    'Paid, but not credited? Says what the provider knows of a transaction, and credits what it proves.',
  body: z.strictObject({
    method: z.string().meta({ examples: ['bkash'] }),
    trxId: z
      .string()
      .max(60)
      .meta({ examples: ['CK250NROQ5'] }),
    topup: id.optional(),
  }),
  answer: z.object({
    outcome: z.enum(['credited', 'waiting', 'review', 'refused']),
    sentence: z.string(),
    topup: topup.nullable(),
  }),
  handle: async ({ site: { desk }, user, body }) => {
    const { outcome, sentence, payment } = await rescue(desk, {
      userId: user.id,
      method: body.method,
      trxId: body.trxId,
      paymentId: body.topup ?? null,
    });
    return { outcome, sentence, topup: payment && topupJson(payment) };
  },
});

export const claimTopup = forUser({
  summary: 'Hand in the TrxID of money that was sent by hand.',
  params: z.object({ id }),
  body: z.strictObject({
    wallet: z
      .string()
      .max(20)
      .meta({ examples: ['bkash'] }),
    trxId: z
      .string()
      .max(60)
      .meta({ examples: ['CK250NROQ5'] }),
    sender: z.string().max(20).default(''),
  }),
  answer: topup,
  errors: ['payment_conflict', 'user_mismatch'],
  handle: async ({ site: { desk, config }, user, params, body }) => {
    const payment = await ownPayment(desk.sql, user.id, params.id);
    const accounts = manualAccounts(config.manualPayments);
    const claim = manualClaim(accounts, body.wallet, body.trxId, body.sender);
    if ('why' in claim) throw new ApiError('invalid_request', { message: claim.why });
    return topupJson(await handIn(desk, user.id, payment.id, claim));
  },
});

/** @throws ApiError not_found; user_mismatch for a payment of another */
async function ownPayment(
  sql: Parameters<typeof findPayment>[0],
  userId: string,
  paymentId: string,
): Promise<Payment> {
  const payment = await findPayment(sql, paymentId);
  if (!payment) throw new ApiError('not_found', { message: 'There is no such top-up.' });
  if (payment.userId !== userId) throw new ApiError('user_mismatch');
  return payment;
}
