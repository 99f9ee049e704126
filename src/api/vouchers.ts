/** Vouchers: redeeming for who is signed in; making, listing and switching off for administrators. */
import { z } from 'zod';
import { ApiError } from '../errors.ts';
import { paisa } from '../payments/taka.ts';
import { voucherSheet } from '../payments/voucher_sheet.ts';
import {
  createVouchers,
  disableVouchers,
  listBatches,
  mostCodes,
  mostUses,
  redeemCounted,
  showBatch,
  type VoucherBatch,
} from '../payments/vouchers.ts';
import { exactUsd } from '../wallet/money.ts';
import { forUser } from './endpoint.ts';
import { id, moment, usd, usdGiven } from './forms.ts';

export const redeem = forUser({
  summary: 'Puts the value of a voucher into the wallet.',
  body: z
    .strictObject({ code: z.string().max(100) })
    .meta({ examples: [{ code: '7KMQ-2XHD-PQ3W-8RTZ-N5AC' }] }),
  status: 201,
  answer: z.object({ id, amount: usd, balance: usd }),
  errors: ['voucher_unknown', 'voucher_refused', 'too_many_attempts'],
  handle: async ({ site: { sql }, user, body: { code } }) => {
    const redeemed = await redeemCounted(sql, user.id, code);
    return {
      id: redeemed.id,
      amount: exactUsd(redeemed.value),
      balance: exactUsd(redeemed.balance),
    };
  },
});

const batchShown = z.object({
  id,
  codes: z.number(),
  value: usd,
  uses: z.number(),
  once: z.boolean(),
  newerThanDays: z.number().nullable(),
  leastTopUpTaka: z.number().nullable(),
  expiresAt: moment.nullable(),
  note: z.string(),
  who: z.string(),
  createdAt: moment,
  disabledAt: moment.nullable(),
  redeemed: z.number(),
  credited: usd,
});

function shown({ value, credited, leastPayment, ...rest }: VoucherBatch) {
  return {
    ...rest,
    value: exactUsd(value),
    credited: exactUsd(credited),
    leastTopUpTaka: leastPayment === null ? null : leastPayment / 100,
  };
}

const order = z
  .strictObject({
    usd: usdGiven,
    count: z.int().min(1).max(mostCodes).default(1),
    uses: z.int().min(1).max(mostUses).default(1),
    once: z.boolean().default(false),
    newerThanDays: z.int().min(1).max(3650).nullable().default(null),
    leastTopUpTaka: z.int().min(1).max(10_000_000).nullable().default(null),
    expiresAt: z.iso.datetime({ offset: true }).nullable().default(null),
    note: z.string().trim().max(500).default(''),
    /** Whether to answer cards to print, too. */
    sheet: z.boolean().default(false),
  })
  .meta({ examples: [{ usd: '5', count: 10, note: 'Eid gifts', sheet: true }] });

export const makeVouchers = forUser({
  summary: 'Makes codes, which are shown this once; with `sheet`, cards to print as HTML.',
  body: order,
  status: 201,
  answer: z.object({
    batch: batchShown,
    codes: z.array(z.string()),
    sheet: z.string().nullable(),
  }),
  handle: async ({ site: { sql, config, origin }, user, body }) => {
    if (body.usd === 0)
      throw new ApiError('invalid_request', { param: 'usd', message: 'Say an amount above zero.' });
    const { batch, codes } = await createVouchers(sql, user.email, {
      codes: body.count,
      value: body.usd,
      uses: body.uses,
      once: body.once,
      newerThanDays: body.newerThanDays,
      leastPayment: body.leastTopUpTaka === null ? null : paisa(body.leastTopUpTaka * 100),
      expiresAt: body.expiresAt === null ? null : new Date(body.expiresAt),
      note: body.note,
    });
    const sheet = body.sheet
      ? voucherSheet(batch, codes, { origin: origin(), sandbox: config.mode === 'sandbox' })
      : null;
    return { batch: shown(batch), codes: [...codes], sheet };
  },
});

export const vouchers = forUser({
  summary: 'Batches of vouchers, the latest first, with what was redeemed of them.',
  answer: z.object({ batches: z.array(batchShown) }),
  handle: async ({ site: { sql } }) => ({ batches: (await listBatches(sql)).map(shown) }),
});

const codeShown = z.object({
  number: z.number(),
  lastFour: z.string(),
  used: z.number(),
  disabledAt: moment.nullable(),
});

export const showVouchers = forUser({
  summary: 'The codes of a batch, by number and last four letters.',
  params: z.object({ id }),
  answer: z.object({ batch: batchShown, codes: z.array(codeShown) }),
  handle: async ({ site: { sql }, params }) => {
    const { batch, codes } = await showBatch(sql, params.id);
    return { batch: shown(batch), codes: [...codes] };
  },
});

export const switchVouchersOff = forUser({
  summary: 'Switches off a batch of vouchers, or one code of it; what was redeemed stays.',
  params: z.object({ id }),
  body: z.strictObject({ number: z.int().min(1).nullable().default(null) }),
  status: 204,
  answer: z.null(),
  handle: async ({ site: { sql }, user, params, body: { number } }) => {
    await disableVouchers(sql, user.email, { batch: params.id, number });
    return null;
  },
});
