/** GET /v1/key: what the key that asks may spend and has spent. GET /v1/credits: what its account has. In the form of OpenRouter's. */
import type { KeyRecord } from '../accounts/keys.ts';
import type { Sql } from '../db/database.ts';
import { creditsOf } from '../wallet/credits.ts';
import {
  inDhaka,
  type KeyLimit,
  type KeyUse,
  keyLimits,
  keyUse,
  resetOf,
} from '../wallet/key_limits.ts';
import { exactUsd, type Nano, nano } from '../wallet/money.ts';
import type { Limits } from './admit.ts';
import type { Exchange } from './exchange.ts';

interface Source {
  readonly limits: Limits;
  readonly own: Sql;
}

function describeLimit(name: KeyLimit, { limits, used }: KeyUse): object {
  const limit = limits[name];
  const resetsAt = resetOf(name, Date.now());
  return {
    limit: limit === null ? null : exactUsd(limit),
    used: exactUsd(used[name]),
    remaining: limit === null ? null : exactUsd(left(limit, used[name])),
    resets_at: resetsAt,
    resets_at_dhaka: resetsAt && inDhaka(resetsAt),
  };
}

function left(limit: Nano, used: Nano): Nano {
  return nano(Math.max(0, limit - used));
}

/** @throws what the driver throws */
export async function ownKey(
  { own, limits: rates }: Source,
  exchange: Exchange,
  _rest: string,
  record: KeyRecord,
): Promise<void> {
  const use = await keyUse(own, record.id, record.walletId);
  const { limits, used, held } = use;
  const rooms = keyLimits.flatMap((name) => {
    const limit = limits[name];
    return limit === null ? [] : [left(limit, used[name])];
  });
  const data = {
    id: record.id,
    label: record.name,
    last_four: record.lastFour,
    limit: limits.total === null ? null : exactUsd(limits.total),
    limit_remaining: rooms.length === 0 ? null : exactUsd(nano(Math.min(...rooms))),
    held: exactUsd(held),
    usage: exactUsd(used.total),
    usage_daily: exactUsd(used.daily),
    usage_weekly: exactUsd(used.weekly),
    usage_monthly: exactUsd(used.monthly),
    limits: Object.fromEntries(keyLimits.map((name) => [name, describeLimit(name, use)])),
    rate_limit: rates.keyRpm === 0 ? null : { requests: rates.keyRpm, interval: '60s' },
    allowed_networks: record.allowedNetworks,
    created_at: record.createdAt,
    expires_at: record.expiresAt,
  };
  exchange.json(JSON.stringify({ data }), ['cache-control', 'no-store']);
}

/** @throws what the driver throws */
export async function ownCredits(
  { own }: Source,
  exchange: Exchange,
  _rest: string,
  { walletId }: KeyRecord,
): Promise<void> {
  const { credited, used, balance, held } = await creditsOf(own, walletId);
  const data = {
    total_credits: exactUsd(credited),
    total_usage: exactUsd(used),
    balance: exactUsd(balance),
    held: exactUsd(held),
  };
  exchange.json(JSON.stringify({ data }), ['cache-control', 'no-store']);
}
