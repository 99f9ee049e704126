/** GET /v1/key: what the key that asks may spend and has spent. GET /v1/credits: what its account has. In the form of OpenRouter's. */
import type { KeyRecord } from '../accounts/keys.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { creditsOf } from '../wallet/credits.ts';
import { isPassing } from '../wallet/failure.ts';
import {
  inDhaka,
  type KeyLimit,
  type KeyUse,
  keyLimits,
  keyUse,
  resetOf,
} from '../wallet/key_limits.ts';
import { formatUsd, type Nano, nano } from '../wallet/money.ts';
import type { Limits } from './admit.ts';
import type { Exchange } from './exchange.ts';

interface Source {
  readonly limits: Limits;
  readonly own: Sql;
}

/** A JSON number with every digit. */
function exact(amount: Nano): unknown {
  return JSON.rawJSON(formatUsd(amount));
}

function describeLimit(name: KeyLimit, { limits, used }: KeyUse): object {
  const limit = limits[name];
  const resetsAt = resetOf(name, Date.now());
  return {
    limit: limit === null ? null : exact(limit),
    used: exact(used[name]),
    remaining: limit === null ? null : exact(left(limit, used[name])),
    resets_at: resetsAt,
    resets_at_dhaka: resetsAt && inDhaka(resetsAt),
  };
}

function left(limit: Nano, used: Nano): Nano {
  return nano(Math.max(0, limit - used));
}

/** @throws ApiError database_unavailable */
export async function ownKey(
  { own, limits: rates }: Source,
  exchange: Exchange,
  _rest: string,
  record: KeyRecord,
): Promise<void> {
  const use = await read(() => keyUse(own, record.id, record.walletId));
  const { limits, used, held } = use;
  const rooms = keyLimits.flatMap((name) => {
    const limit = limits[name];
    return limit === null ? [] : [left(limit, used[name])];
  });
  const data = {
    id: record.id,
    label: record.name,
    last_four: record.lastFour,
    limit: limits.total === null ? null : exact(limits.total),
    limit_remaining: rooms.length === 0 ? null : exact(nano(Math.min(...rooms))),
    held: exact(held),
    usage: exact(used.total),
    usage_daily: exact(used.daily),
    usage_weekly: exact(used.weekly),
    usage_monthly: exact(used.monthly),
    limits: Object.fromEntries(keyLimits.map((name) => [name, describeLimit(name, use)])),
    rate_limit: rates.keyRpm === 0 ? null : { requests: rates.keyRpm, interval: '60s' },
    allowed_networks: record.allowedNetworks,
    created_at: record.createdAt,
    expires_at: record.expiresAt,
  };
  exchange.json(JSON.stringify({ data }), ['cache-control', 'no-store']);
}

/** @throws ApiError database_unavailable */
export async function ownCredits(
  { own }: Source,
  exchange: Exchange,
  _rest: string,
  { walletId }: KeyRecord,
): Promise<void> {
  const { credited, used, balance, held } = await read(() => creditsOf(own, walletId));
  const data = {
    total_credits: exact(credited),
    total_usage: exact(used),
    balance: exact(balance),
    held: exact(held),
  };
  exchange.json(JSON.stringify({ data }), ['cache-control', 'no-store']);
}

/** A database that is away is no empty wallet. */
async function read<T>(what: () => Promise<T>): Promise<T> {
  try {
    return await what();
  } catch (cause) {
    if (!isPassing(cause)) throw cause;
    throw new ApiError('database_unavailable', { cause, retryAfterMs: 2000 });
  }
}
