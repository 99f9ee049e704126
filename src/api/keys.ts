/** The API keys of who is signed in: make, list, change, revoke. */

import { z } from 'zod';
import { takeAttempt } from '../accounts/attempts.ts';
import {
  changeKey,
  createKey,
  findKey,
  type KeyRecord,
  keyState,
  listKeys,
  revokeKey,
} from '../accounts/keys.ts';
import { parseNetwork } from '../accounts/networks.ts';
import type { User } from '../accounts/sessions.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import {
  changeLimits,
  isLimited,
  type KeyUse,
  keyUse,
  type LimitChanges,
  useJson,
  withUse,
} from '../wallet/key_limits.ts';
import { openWallet } from '../wallet/wallets.ts';
import { forUser } from './endpoint.ts';
import { id, moment, usd, usdGiven } from './forms.ts';

/** Enough for any person, and for every program that means well. */
const newKeys = { most: 120, everyMs: 3_600_000 };

const network = z.string().transform((text, context) => {
  const parsed = parseNetwork(text);
  if (parsed !== null) return parsed;
  context.addIssue('must be an address or a network such as 203.0.113.7 or 2001:db8::/32');
  return '';
});

const limit = usdGiven.nullable().optional();

/** A day alone means its first moment in UTC. */
const expiry = z
  .union(
    [z.iso.datetime({ offset: true }), z.iso.date()],
    'must be a moment such as 2027-06-30T18:00:00+06:00',
  )
  .transform((text) => new Date(text))
  .nullable();

const bounds = {
  allowedNetworks: z.array(network).max(100),
  expiresAt: expiry,
  errorFormat: z.enum(['text', 'object']),
  limits: z.strictObject({ total: limit, daily: limit, weekly: limit, monthly: limit }),
};
const name = z.string().trim().min(1).max(100);

const newKey = z
  .strictObject({
    name,
    allowedNetworks: bounds.allowedNetworks.default([]),
    expiresAt: bounds.expiresAt.default(null),
    errorFormat: bounds.errorFormat.default('text'),
    limits: bounds.limits.default({}),
  })
  .meta({ examples: [{ name: 'my bot', limits: { daily: '1.50' } }] });

const changes = z
  .strictObject({ name, ...bounds })
  .partial()
  .meta({ examples: [{ name: 'my other bot', allowedNetworks: ['203.0.113.0/24'] }] });

const amounts = z.object({
  total: usd.nullable(),
  daily: usd.nullable(),
  weekly: usd.nullable(),
  monthly: usd.nullable(),
});

const shown = z.object({
  id,
  name: z.string(),
  lastFour: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  allowedNetworks: z.array(z.string()),
  errorFormat: z.enum(['text', 'object']),
  createdAt: moment,
  expiresAt: moment.nullable(),
  revokedAt: moment.nullable(),
  limits: amounts,
  used: amounts,
});

function present(record: KeyRecord, use: KeyUse): z.input<typeof shown> {
  const { id, name, lastFour, allowedNetworks, errorFormat, createdAt, expiresAt, revokedAt } =
    record;
  const state = keyState(record);
  return {
    ...{ id, name, lastFour, state, allowedNetworks, errorFormat, createdAt, expiresAt, revokedAt },
    ...useJson(use),
  };
}

/** @throws ApiError not_found, user_mismatch */
async function ownKey(sql: Sql, user: User, id: string): Promise<KeyRecord> {
  const record = await findKey(sql, id);
  if (!record) throw new ApiError('not_found', { message: 'There is no such API key.' });
  if (record.userId !== user.id) throw new ApiError('user_mismatch');
  return record;
}

const params = z.object({ id });

export const keys = forUser({
  summary: 'The API keys of the account, oldest first, with what they have used.',
  answer: z.object({ keys: z.array(shown) }),
  handle: async ({ site: { sql }, user }) => {
    const records = await withUse(sql, await listKeys(sql, user.id));
    return { keys: records.map(([record, use]) => present(record, use)) };
  },
});

export const showKey = forUser({
  summary: 'One API key.',
  params,
  answer: shown,
  errors: ['user_mismatch'],
  handle: async ({ site: { sql }, user, params: { id } }) => {
    const record = await ownKey(sql, user, id);
    return present(record, await keyUse(sql, id, record.walletId));
  },
});

export const addKey = forUser({
  summary: 'Make an API key. Its text is in this answer and never shown again.',
  body: newKey,
  status: 201,
  answer: shown.extend({ key: z.string() }),
  errors: ['too_many_attempts'],
  handle: async ({ site: { sql }, user, body: { limits, ...wanted } }) => {
    await takeAttempt(sql, 'keys of', user.id, newKeys);
    const walletId = await openWallet(sql, user.id);
    const made = await createKey(sql, { userId: user.id, walletId, ...wanted });
    // Nobody has the key before its limits hold.
    const use = await limited(sql, { id: made.id, walletId }, limits);
    return { ...present(await ownKey(sql, user, made.id), use), key: made.key };
  },
});

function limited(
  sql: Sql,
  key: { readonly id: string; readonly walletId: number },
  given: z.output<typeof bounds.limits>,
): Promise<KeyUse> {
  const wanted: LimitChanges = Object.fromEntries(
    Object.entries(given).filter(([, amount]) => amount !== undefined),
  );
  const isNews = isLimited(wanted) || Object.keys(wanted).length > 0;
  return isNews ? changeLimits(sql, key, wanted) : keyUse(sql, key.id, key.walletId);
}

export const editKey = forUser({
  summary: 'Change an API key: what is left out stays. Holds everywhere within a second.',
  params,
  body: changes,
  answer: shown,
  errors: ['user_mismatch'],
  handle: async ({ site: { sql }, user, params: { id }, body: { limits = {}, ...wanted } }) => {
    const { walletId } = await ownKey(sql, user, id);
    const use = await limited(sql, { id, walletId }, limits);
    const record = await changeKey(sql, id, wanted);
    return present(record ?? (await ownKey(sql, user, id)), use);
  },
});

export const removeKey = forUser({
  summary: 'Revoke an API key for good. A second time changes nothing.',
  params,
  answer: shown,
  errors: ['user_mismatch'],
  handle: async ({ site: { sql }, user, params: { id } }) => {
    const record = await ownKey(sql, user, id);
    const revoked = await revokeKey(sql, id);
    return present(revoked ?? record, await keyUse(sql, id, record.walletId));
  },
});
