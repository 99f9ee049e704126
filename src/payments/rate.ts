/** Taka for a US dollar: what the operator fixed, or what was last fetched. */
import type { Desk } from './desk.ts';
import type { PaymentRules } from './rules.ts';

/** Older ones are not believed; ms. */
const freshMs = 48 * 3_600_000;

/** A decimal. */
export async function marketRate(
  { sql, usualRate }: Desk,
  { rate }: PaymentRules,
): Promise<string> {
  const fixed = rate.fixed ?? usualRate;
  if (!rate.feed) return fixed;
  const [row] = await sql<{ taka: string }[]>`
    SELECT taka FROM exchange_rates WHERE source = ${rate.feed.url} AND fetched_at > now() - ${freshMs} * interval '1 ms'
    ORDER BY id DESC LIMIT 1`;
  return row?.taka ?? fixed;
}
