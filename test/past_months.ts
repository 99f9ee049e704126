/** Books of months that are over. */
import { countDays } from '../src/wallet/day_totals.ts';
import type { Ledgers } from './ledgers.ts';

/** The month so many months ago, such as 2026-01. */
export function monthAgo(months: number): string {
  const date = new Date();
  date.setUTCDate(15);
  date.setUTCMonth(date.getUTCMonth() - months);
  return date.toISOString().slice(0, 7);
}

/** A top-up and `count` charges of a wallet in each of the last six months, the last hour of the month included. */
export async function writePast(ledgers: Ledgers, wallet: number, count: number): Promise<void> {
  const { owner } = ledgers;
  await owner`SELECT ledger_make_partitions(now() - interval '7 months', 1)`;
  for (let ago = 6; ago >= 1; ago -= 1) {
    const start = `${monthAgo(ago)}-01T00:00:00Z`;
    await owner`
      WITH made AS (
        SELECT (left(ledger_first_id(at)::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid AS id, at, 10 + n AS charged
        FROM generate_series(1, ${count}::int) n,
          LATERAL (SELECT ${start}::timestamptz + CASE WHEN n = 1 THEN interval '1 month' - interval '1 minute' ELSE n * interval '1 day' END AS at) m
      ), charge AS (
        INSERT INTO receipts (id, wallet, key_id, model, provider, outcome, input_tokens, output_tokens, cost, charged, held, created_at, detail, seal)
        SELECT id, ${wallet}, NULL, 'openai/gpt-4o', 'openai', 'settled', 1, 2, charged + 1, charged, 100, at + interval '2 minutes', '{"a": 1}',
          receipt_seal(id, ${wallet}, NULL, 'openai/gpt-4o', 'openai', 'settled', 1, 2, charged + 1, charged, 100, at + interval '2 minutes', '{"a": 1}')
        FROM made
      ), moved AS (
        SELECT id, 'charge'::transfer_kind AS kind, ${wallet}::bigint AS debit, 1::bigint AS credit, charged::bigint AS amount, at + interval '2 minutes' AS at FROM made
        UNION ALL SELECT id, 'loss', 2, 1, 1, at + interval '2 minutes' FROM made
        UNION ALL SELECT (left(ledger_first_id(${start})::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid, 'topup', 3, ${wallet}, 100000, ${start}::timestamptz
      ), written AS (
        INSERT INTO transfers (id, kind, debit, credit, amount, created_at, seal)
        SELECT id, kind, debit, credit, amount, at, transfer_seal(id, kind, debit, credit, amount, NULL, at) FROM moved
      )
      UPDATE ledger_accounts SET balance = balance + 100000 - (SELECT sum(charged) FROM made), ended = ended + ${count}
      WHERE id = ${wallet}`;
  }
  await owner`UPDATE day_totals_mark SET counted_to = now() - interval '8 months'`;
  await countPast(ledgers);
}

/** Counts all days up to now. */
export async function countPast({ owner, database: { sql } }: Ledgers): Promise<void> {
  await owner`UPDATE day_totals_mark SET next_to = now() - interval '1 second', waiting = '{}', seen_at = now()`;
  while (await countDays(sql, 1000));
}
