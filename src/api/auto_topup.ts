/** Automatic top-ups: the agreement of who is signed in, and when it is to be used. */
import { z } from 'zod';
import { takeAttempt } from '../accounts/attempts.ts';
import { ApiError } from '../errors.ts';
import {
  type Agreement,
  agreementOf,
  endAgreement,
  openAgreement,
} from '../payments/agreements.ts';
import { autoTopupOf, setAutoTopup } from '../payments/auto_topup.ts';
import type { Paisa } from '../payments/method.ts';
import { formatTaka } from '../payments/taka.ts';
import { exactUsd } from '../wallet/money.ts';
import { forUser, rawForAnyone, type Site } from './endpoint.ts';
import { id, moment, taka, takaGiven, usd, usdGiven } from './forms.ts';

const exactTaka = (amount: Paisa): unknown => JSON.rawJSON(formatTaka(amount));
const newAgreements = { most: 10, everyMs: 3_600_000 };

const agreementShown = z.object({
  id,
  method: z.string(),
  state: z.enum(['created', 'pending', 'active', 'ending', 'ended', 'failed']),
  reason: z.string().nullable(),
  redirectUrl: z.string().nullable(),
  payer: z.string().nullable(),
  createdAt: moment,
  agreedAt: moment.nullable(),
});

function shownAgreement(agreement: Agreement) {
  const { redirectUrl, payerShown, createdAt, agreedAt, method, state, reason } = agreement;
  return {
    id: agreement.id,
    method,
    state,
    reason,
    redirectUrl: state === 'pending' ? redirectUrl : null,
    payer: payerShown,
    createdAt,
    agreedAt,
  };
}

const shown = z.object({
  agreement: agreementShown.nullable(),
  rule: z
    .object({
      belowUsd: usd,
      taka,
      mostPerDay: z.number(),
      mostTakaPerMonth: taka,
      stoppedAt: moment.nullable(),
      stoppedReason: z.string().nullable(),
    })
    .nullable(),
});

async function show({ desk }: Site, userId: string) {
  const agreement = await agreementOf(desk, userId);
  const rule = await autoTopupOf(desk, userId);
  return {
    agreement: agreement && shownAgreement(agreement),
    rule: rule && {
      belowUsd: exactUsd(rule.threshold),
      taka: exactTaka(rule.amount),
      mostPerDay: rule.perDay,
      mostTakaPerMonth: exactTaka(rule.perMonth),
      stoppedAt: rule.stoppedAt,
      stoppedReason: rule.stoppedReason,
    },
  };
}

export const autoTopup = forUser({
  summary: 'The agreement by which you top up automatically, and when it is used.',
  answer: shown,
  handle: ({ site, user }) => show(site, user.id),
});

export const changeAutoTopup = forUser({
  summary: 'Sets when to top up automatically, and starts it again where it had stopped.',
  body: z
    .strictObject({
      belowUsd: usdGiven,
      taka: takaGiven,
      mostPerDay: z.int().min(1).max(24).default(1),
      mostTakaPerMonth: takaGiven,
    })
    .meta({
      examples: [{ belowUsd: '2.00', taka: 500, mostPerDay: 1, mostTakaPerMonth: 5000 }],
    }),
  answer: shown,
  errors: ['agreement_missing', 'payment_method_unavailable'],
  handle: async ({ site, user, body }) => {
    if (body.belowUsd === 0)
      throw new ApiError('invalid_request', {
        param: 'belowUsd',
        message: 'Say an amount above zero.',
      });
    await setAutoTopup(site.desk, user.id, {
      threshold: body.belowUsd,
      amount: body.taka,
      perDay: body.mostPerDay,
      perMonth: body.mostTakaPerMonth,
    });
    return show(site, user.id);
  },
});

export const endAutoTopup = forUser({
  summary: 'Tops up automatically no more; the agreement stays.',
  status: 204,
  answer: z.null(),
  handle: async ({ site, user }) => {
    await setAutoTopup(site.desk, user.id, null);
    return null;
  },
});

export const beginAgreement = forUser({
  summary: 'Asks for a standing agreement: send the browser to `redirectUrl`.',
  body: z.strictObject({ method: z.string().max(40).default('bkash') }),
  status: 201,
  answer: agreementShown,
  errors: ['agreement_exists', 'payment_method_unavailable', 'payment_provider_failed'],
  handle: async ({ site: { desk }, user, body, visit }) => {
    await takeAttempt(desk.sql, 'agreements of', user.id, newAgreements);
    const mobile = /Mobi|Android/i.test(visit.userAgent);
    const payer = { name: user.name, email: user.email, address: visit.address, mobile };
    return shownAgreement(await openAgreement(desk, user.id, body.method, payer));
  },
});

export const finishAgreement = forUser({
  summary: 'Ends the agreement: nothing is charged from now on.',
  answer: agreementShown,
  handle: async ({ site: { desk }, user }) => shownAgreement(await endAgreement(desk, user.id)),
});

/** The page that follows asks the provider, and only for the account that wants the agreement. */
export const agreementReturn = rawForAnyone({
  summary: 'Where a payment provider sends the browser back to after an agreement.',
  handle: ({ params: { method = '', token = '' } }) => {
    const page = `/agreements/${encodeURIComponent(method)}/${encodeURIComponent(token)}`;
    return new Response(null, { status: 303, headers: { location: page } });
  },
});
