/** Being told when the balance is low: by mail, and at an address of one's own. */
import { z } from 'zod';
import { takeAttempt } from '../accounts/attempts.ts';
import { reachOf } from '../accounts/public_address.ts';
import { alertSettings, setAlerts } from '../alerts/settings.ts';
import { exactUsd } from '../wallet/money.ts';
import { forUser, type Site } from './endpoint.ts';
import { id, moment, usd, usdGiven } from './forms.ts';

const changes = { most: 60, everyMs: 3_600_000 };

const shown = z.object({
  threshold: usd.nullable(),
  mail: z.boolean(),
  webhookUrl: z.string().nullable(),
  below: z.boolean(),
  toldAt: moment.nullable(),
  /** What became of the last message to the webhook. */
  lastMessage: z
    .object({
      id,
      createdAt: moment,
      tries: z.number(),
      deliveredAt: moment.nullable(),
      failedAt: moment.nullable(),
      lastError: z.string().nullable(),
    })
    .nullable(),
});

async function show({ sql }: Site, userId: string) {
  const { settings, last } = await alertSettings(sql, userId);
  return {
    threshold: settings && exactUsd(settings.threshold),
    mail: settings?.mail ?? false,
    webhookUrl: settings?.webhookUrl ?? null,
    below: settings?.below ?? false,
    toldAt: settings?.toldAt ?? null,
    lastMessage: last,
  };
}

export const alerts = forUser({
  summary: 'When you are told of a low balance, and how.',
  answer: shown,
  handle: ({ site, user }) => show(site, user.id),
});

export const changeAlerts = forUser({
  summary:
    'Sets when you are told of a low balance. The secret of a new webhook is shown this once; a threshold of null ends all of it.',
  body: z
    .strictObject({
      threshold: usdGiven.nullable(),
      mail: z.boolean().default(true),
      webhookUrl: z.string().trim().max(2000).nullable().default(null),
      newSecret: z.boolean().default(false),
    })
    .meta({ examples: [{ threshold: '2.00', webhookUrl: 'https://example.com/low-balance' }] }),
  answer: shown.extend({ webhookSecret: z.string().nullable() }),
  errors: ['too_many_attempts'],
  handle: async ({ site, user, body }) => {
    const { sql, config } = site;
    const { secret } = site.desk;
    await takeAttempt(sql, 'alerts of', user.id, changes);
    const { webhookSecret } = await setAlerts({ sql, secret, reach: reachOf(config) }, user.id, {
      ...body,
      threshold: body.threshold === 0 ? null : body.threshold,
    });
    return { ...(await show(site, user.id)), webhookSecret };
  },
});
