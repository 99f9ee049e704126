/** `akai key limit`, and what `akai key create` and `akai key list` have to do with limits. */
import type { KeyRecord } from '../accounts/keys.ts';
import type { Sql } from '../db/database.ts';
import {
  changeLimits,
  type KeyLimit,
  type KeyUse,
  keyLimits,
  type LimitChanges,
  useJson,
} from '../wallet/key_limits.ts';
import { formatUsd, MoneyError, type Nano, parseUsd } from '../wallet/money.ts';
import type { Said } from './said.ts';

/** Options of `key create`, by limit; `key limit` has them as --total-usd, --daily-usd and so on. */
export const createOptions: Readonly<Record<KeyLimit, string>> = {
  total: 'limit-usd',
  daily: 'limit-daily-usd',
  weekly: 'limit-weekly-usd',
  monthly: 'limit-monthly-usd',
};
export const limitOptions: Readonly<Record<KeyLimit, string>> = {
  total: 'total-usd',
  daily: 'daily-usd',
  weekly: 'weekly-usd',
  monthly: 'monthly-usd',
};

/**
 * @param textOf what was given for an option; null for nothing
 * @throws MoneyError with a sentence that names the option
 */
export function readLimits(
  options: Readonly<Record<KeyLimit, string>>,
  textOf: (option: string) => string | null,
): LimitChanges {
  const changes: LimitChanges = {};
  for (const limit of keyLimits) {
    const text = textOf(options[limit])?.trim();
    if (text !== undefined) changes[limit] = text === 'none' ? null : amount(options[limit], text);
  }
  return changes;
}

function amount(option: string, text: string): Nano {
  const wrong = `--${option} takes an amount with up to nine decimals, such as 5 or 12.50, or none, not "${text}".`;
  try {
    const limit = parseUsd(text);
    if (limit >= 0) return limit;
  } catch (cause) {
    throw new MoneyError(wrong, { cause });
  }
  throw new MoneyError(wrong);
}

/** For people: "daily $5 ($1.2 used)", for those that are set. */
export function limitsText({ limits, used }: KeyUse): string {
  const set = keyLimits.flatMap((name) => {
    const limit = limits[name];
    return limit === null ? [] : [`${name} $${formatUsd(limit)} ($${formatUsd(used[name])} used)`];
  });
  return set.length === 0
    ? `no limits, $${formatUsd(used.total)} used`
    : `limits: ${set.join(', ')}`;
}

/** `akai key limit`. */
export async function setLimits(sql: Sql, key: KeyRecord, changes: LimitChanges): Promise<Said> {
  const use = await changeLimits(sql, key, changes);
  return {
    json: { id: key.id, ...useJson(use) },
    text: `Key "${key.name}" (…${key.lastFour}) has ${limitsText(use)}.`,
  };
}
