/** What administrators see of payments and decide about them; the commands `akai payment …` do the same. */
import { z } from 'zod';
import { reachOf } from '../accounts/public_address.ts';
import {
  differenceJson,
  paymentJson,
  receiptJson,
  refundJson,
  reviewJson,
  timelineJson,
} from '../payments/admin_json.ts';
import { compareCredited, differences } from '../payments/compare.ts';
import { paymentStates } from '../payments/payment.ts';
import { refundPayment, settleRefund } from '../payments/refund.ts';
import {
  acceptPayment,
  attachProviderId,
  checkNow,
  existing,
  rejectPayment,
} from '../payments/review.ts';
import {
  evidenceOf,
  listPayments,
  listRefunds,
  paymentsToReview,
} from '../payments/review_list.ts';
import { currentRules, setRules } from '../payments/rules.ts';
import { resolveReceipt, unmatchedReceipts } from '../payments/unmatched.ts';
import { type Endpoint, forUser } from './endpoint.ts';
import { checkFeedAddress } from './feed_address.ts';
import { id, moment, taka, takaGiven, usd } from './forms.ts';

const params = z.object({ id });
const limit = z.coerce.number().int().min(1).max(1000).default(50);
const yes = z.enum(['true', 'false']).default('false');
const sentence = z.string().trim().min(1).max(1000);
const when = moment.nullable();
const words = z.string().nullable();

const payment = z.object({
  id,
  user: id,
  email: words,
  method: z.string(),
  environment: z.string(),
  state: z.enum(paymentStates),
  reason: words,
  taka,
  feeTaka: taka,
  rate: taka,
  creditUsd: usd,
  bonusUsd: usd,
  refundedTaka: taka,
  invoice: z.string(),
  providerId: words,
  trxId: words,
  payer: words,
  late: z.boolean(),
  cause: z.string(),
  corrects: id.nullable(),
  rules: z.number().nullable(),
  createdAt: moment,
  quotedUntil: moment,
  expiresAt: moment,
  paidAt: when,
  verifiedAt: when,
  heldUntil: when,
  creditedAt: when,
  rejectedAt: when,
  askAt: when,
  asked: z.number(),
});

const reviewed = z.object({
  ...payment.shape,
  accountAgeDays: z.number(),
  creditedBefore: z.number(),
  rejectedBefore: z.number(),
  claims: z.array(
    z.object({
      trxId: z.string(),
      sentTo: words,
      payer: words,
      createdAt: z.string(),
      alsoClaimedBy: z.array(id).readonly(),
      belongsTo: id.nullable(),
      senderPayments: z.number(),
      senderAccounts: z.number(),
    }),
  ),
  approvals: z.array(z.object({ who: z.string(), receivedTaka: taka, trxId: z.string() })),
});

const refund = z.object({
  id,
  payment: id,
  reference: z.string(),
  state: z.string(),
  taka,
  creditUsd: usd,
  bonusUsd: usd,
  reason: z.string(),
  by: z.string(),
  providerRefundId: words,
  note: words,
  createdAt: moment,
  changedAt: moment,
});

const receipt = z.object({
  id,
  method: z.string(),
  trxId: z.string(),
  taka,
  payer: words,
  paidAt: when,
  source: z.string(),
  createdAt: moment,
  resolvedAt: when,
  resolution: words,
  by: words,
});

const list = forUser({
  summary:
    'Payments, the latest first. `search` takes a TrxID, an invoice or an id at the provider.',
  query: z.strictObject({
    state: z.enum(paymentStates).nullable().default(null),
    method: z.enum(['bkash', 'nagad', 'uddoktapay', 'manual']).nullable().default(null),
    email: z.string().max(254).nullable().default(null),
    search: z.string().trim().max(100).nullable().default(null),
    before: id.nullable().default(null),
    limit,
  }),
  answer: z.object({ payments: z.array(payment) }),
  handle: async ({ site: { desk }, query: { limit: most, ...filter } }) => ({
    payments: (await listPayments(desk.sql, { ...filter, most })).map(paymentJson),
  }),
});

const review = forUser({
  summary: 'Payments that need a person, with what was claimed and by whom else.',
  query: z.strictObject({ limit }),
  answer: z.object({ payments: z.array(reviewed) }),
  handle: async ({ site: { desk }, query }) => ({
    payments: (await paymentsToReview(desk.sql, { most: query.limit, id: null })).map(reviewJson),
  }),
});

const show = forUser({
  summary: 'A payment, its refunds, and all that ever happened to it.',
  params,
  answer: z.object({
    payment: z.union([reviewed, payment]),
    refunds: z.array(refund),
    timeline: z.array(
      z.object({
        at: moment,
        kind: z.string(),
        actor: z.string(),
        sentence: words,
        detail: z.unknown(),
      }),
    ),
  }),
  handle: async ({ site: { desk }, params: { id: own } }) => {
    const plain = await existing(desk.sql, own);
    const [found] = await paymentsToReview(desk.sql, { most: 1, id: own });
    const refunds = await listRefunds(desk.sql, { open: false, payment: own, most: 1000 });
    const timeline = await evidenceOf(desk.sql, own);
    return {
      payment: found ? reviewJson(found) : paymentJson(plain),
      refunds: refunds.map(refundJson),
      timeline: timeline.map(timelineJson),
    };
  },
});

const check = forUser({
  summary: 'Ask the provider about a payment now, and do what follows.',
  params,
  answer: payment,
  handle: async ({ site: { desk }, user, params: { id: own } }) =>
    paymentJson(await checkNow(desk, own, user.email)),
});

const accept = forUser({
  summary: 'Credit what came in for a payment that needs a person. Large ones by hand need two.',
  params,
  body: z.strictObject({
    taka: takaGiven,
    trxId: z
      .string()
      .max(60)
      .nullable()
      .default(null)
      .meta({ examples: ['CK250NROQ5'] }),
    receivedAt: z.iso
      .datetime({ offset: true })
      .transform((text) => new Date(text))
      .nullable()
      .default(null),
  }),
  answer: z.object({ payment, approvals: z.number(), approvalsNeeded: z.number() }),
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: paymentId }, body }) => {
    const accepted = await acceptPayment(desk, {
      paymentId,
      received: body.taka,
      trxId: body.trxId,
      receivedAt: body.receivedAt,
      who: user.email,
    });
    const { approvals, needed } = accepted;
    return { payment: paymentJson(accepted.payment), approvals, approvalsNeeded: needed };
  },
});

const reject = forUser({
  summary: 'Say no to a payment that needs a person; its owner reads the reason.',
  params,
  body: z.strictObject({ reason: sentence }),
  answer: payment,
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: paymentId }, body: { reason } }) =>
    paymentJson(await rejectPayment(desk, { paymentId, reason, who: user.email })),
});

const attach = forUser({
  summary: 'Tell a payment its id at the provider, which is asked whether it is of this payment.',
  params,
  body: z.strictObject({ providerId: z.string().trim().min(1).max(200) }),
  answer: payment,
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: paymentId }, body }) => {
    const given = { paymentId, providerId: body.providerId, who: user.email };
    return paymentJson(await attachProviderId(desk, given));
  },
});

const giveBack = forUser({
  summary: 'Give a payment back, or a part of it, as far as its credit is unspent.',
  params,
  body: z.strictObject({
    taka: takaGiven.nullable().default(null),
    reason: sentence,
    keepVouchers: z.boolean().default(false),
  }),
  status: 201,
  answer: refund,
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: paymentId }, body }) => {
    const { taka: amount, ...wish } = body;
    return refundJson(await refundPayment(desk, { paymentId, amount, ...wish, who: user.email }));
  },
});

const refunds = forUser({
  summary: 'Refunds, the latest first; `open`: those of which something is still to be found out.',
  query: z.strictObject({ open: yes, payment: id.nullable().default(null), limit }),
  answer: z.object({ refunds: z.array(refund) }),
  handle: async ({ site: { desk }, query: { open, payment: own, limit: most } }) => {
    const found = await listRefunds(desk.sql, { open: open === 'true', payment: own, most });
    return { refunds: found.map(refundJson) };
  },
});

const settle = forUser({
  summary: 'Say what became of a refund that nobody knows of, or that was sent by hand.',
  params,
  body: z.strictObject({ state: z.enum(['refunded', 'refused']), note: sentence }),
  answer: refund,
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: own }, body }) =>
    refundJson(await settleRefund(desk, own, { ...body, who: user.email })),
});

const unmatched = forUser({
  summary: 'Money that came in and fits no payment.',
  query: z.strictObject({ resolved: yes, limit }),
  answer: z.object({ receipts: z.array(receipt) }),
  handle: async ({ site: { desk }, query: { resolved, limit: most } }) => {
    const found = await unmatchedReceipts(desk.sql, { resolved: resolved === 'true', most });
    return { receipts: found.map(receiptJson) };
  },
});

const resolve = forUser({
  summary: 'End the matter of money that fits no payment, or give it to one to be looked at.',
  params,
  body: z.strictObject({ note: sentence, payment: id.nullable().default(null) }),
  answer: receipt,
  errors: ['payment_conflict'],
  handle: async ({ site: { desk }, user, params: { id: own }, body }) => {
    const given = { note: body.note, paymentId: body.payment, who: user.email };
    return receiptJson(await resolveReceipt(desk, own, given));
  },
});

const rulesInForce = z.object({ version: z.number().nullable(), rules: z.unknown() });

const rules = forUser({
  summary: 'Rates, fees, bounds, bonuses and limits of payments.',
  answer: rulesInForce,
  handle: async ({ site: { desk } }) => {
    const { id: version, content } = await currentRules(desk.sql);
    return { version, rules: content };
  },
});

const changeRules = forUser({
  summary: 'Set rates, fees, bounds, bonuses and limits; what is left out stays as it is.',
  body: z.looseObject({}).meta({ examples: [{ rate: { margin: '2.5' } }] }),
  answer: rulesInForce,
  handle: async ({ site: { desk, config }, user, body }) => {
    checkFeedAddress(body, reachOf(config));
    const { id: version, content } = await setRules(desk.sql, user.email, body);
    return { version, rules: content };
  },
});

const compared = z.object({
  compared: z.number(),
  differences: z.array(
    z.object({
      payment: id,
      method: z.string(),
      trxId: z.string(),
      taka,
      found: z.string(),
      at: moment,
    }),
  ),
});
const shownDifferences = 100;

const differing = forUser({
  summary: 'Payments that differ from what their providers say.',
  answer: compared,
  handle: async ({ site: { desk } }) => ({
    compared: 0,
    differences: (await differences(desk.sql, shownDifferences)).map(differenceJson),
  }),
});

const compare = forUser({
  summary: 'Compare what was credited before today with what providers say, now.',
  answer: compared,
  handle: async ({ site: { desk } }) => ({
    compared: await compareCredited(desk),
    differences: (await differences(desk.sql, shownDifferences)).map(differenceJson),
  }),
});

const at = '/api/admin/payments';
const who = 'admin';

export const adminPaymentEndpoints: readonly Endpoint[] = [
  { method: 'GET', path: at, who, handler: list },
  { method: 'GET', path: `${at}/review`, who, handler: review },
  { method: 'GET', path: `${at}/differences`, who, handler: differing },
  { method: 'POST', path: `${at}/differences`, who, handler: compare },
  { method: 'GET', path: `${at}/:id`, who, handler: show },
  { method: 'POST', path: `${at}/:id/check`, who, handler: check },
  { method: 'POST', path: `${at}/:id/accept`, who, handler: accept },
  { method: 'POST', path: `${at}/:id/reject`, who, handler: reject },
  { method: 'POST', path: `${at}/:id/attach`, who, handler: attach },
  { method: 'POST', path: `${at}/:id/refund`, who, handler: giveBack },
  { method: 'GET', path: '/api/admin/refunds', who, handler: refunds },
  { method: 'POST', path: '/api/admin/refunds/:id/settle', who, handler: settle },
  { method: 'GET', path: '/api/admin/receipts', who, handler: unmatched },
  { method: 'POST', path: '/api/admin/receipts/:id/resolve', who, handler: resolve },
  { method: 'GET', path: '/api/admin/payment-rules', who, handler: rules },
  { method: 'PATCH', path: '/api/admin/payment-rules', who, handler: changeRules },
];
