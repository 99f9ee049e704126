/** Books with a row of every kind, all of them true, and ways to falsify them that nothing else notices. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import type { Sql } from '../src/db/database.ts';
import { timeOrderedId } from '../src/ids.ts';
import { type AuditReport, audit } from '../src/wallet/audit.ts';
import { countDays } from '../src/wallet/day_totals.ts';
import { limitKey } from '../src/wallet/key_limits.ts';
import type { Ledger, NewHold } from '../src/wallet/ledger.ts';
import { nano } from '../src/wallet/money.ts';
import { rememberPrices } from '../src/wallet/price_versions.ts';
import { creditWallet } from '../src/wallet/wallets.ts';
import { holdOf, type Ledgers, settlementOf } from './ledgers.ts';
import { until } from './scratch_data.ts';

export interface HonestBooks {
  readonly payer: number;
  readonly other: number;
  /** Requests of the payer, by how they ended; `lost` cost more than it was charged. */
  readonly charged: string;
  readonly lost: string;
  readonly open: string;
  readonly recovered: string;
  readonly free: string;
  /** What was given back of a request, because another ran in its place. */
  readonly refund: string;
  /** A key with limits, which `charged` and `open` used. */
  readonly key: string;
  readonly priceVersion: string;
  readonly receiptKey: string;
  /** On which the bonus was given, such as 2026-11-24; of Dhaka. */
  readonly bonusDay: string;
}

export const moneyTables = [
  'ledger_accounts',
  'transfers',
  'receipts',
  'holds',
  'key_limits',
  'day_totals',
  'price_versions',
  'receipt_keys',
  'archived_totals',
  'ledger_archives',
  'request_refunds',
] as const;

/** What is bought and given: sealed row by row. */
export const saleTables = [
  'payments',
  'payment_refunds',
  'payment_events',
  'payment_claims',
  'payment_rules',
  'unmatched_receipts',
  'voucher_batches',
  'voucher_codes',
  'voucher_redemptions',
  'payment_agreements',
  'auto_topups',
  'wallet_requests',
] as const;

const basis = '{"provider":"acme","detail":{"prices":{"input":10000,"output":30000}}}';

export async function writeHonestBooks(ledgers: Ledgers): Promise<HonestBooks> {
  const { sql } = ledgers.database;
  const payer = await ledgers.wallet(10_000);
  const other = await ledgers.wallet(500);
  await creditWallet(sql, payer, nano(50), { kind: 'bonus', note: 'hello' });
  await creditWallet(sql, payer, nano(7), { kind: 'refund', note: 'sorry' });
  const key = randomUUID();
  const limits = { total: nano(9000), daily: nano(8000), weekly: null, monthly: null };
  await limitKey(sql, key, payer, limits);
  const { ledger, lease } = await ledgers.start();
  const dead = await ledgers.start();
  const hold = async (of = ledger, keyId: string | null = null) => {
    const asked = { ...holdOf(payer, 1000), keyId };
    await of.hold(asked);
    return asked;
  };
  const charged = await hold(ledger, key);
  const lost = await hold();
  const open = await hold(ledger, key);
  const recovered = await hold(dead.ledger);
  const free = await hold();
  await ledger.settle(settlementOf(charged, 300));
  await ledger.settle(settlementOf(lost, 1200, { chargeable: 1000 }));
  await ledger.settle(settlementOf(free, 0));
  await dead.ledger.checkpoints.raise({
    id: recovered.id,
    amount: nano(40),
    inputTokens: 1,
    outputTokens: 1,
    basis,
  });
  await ledger.checkpoints.raise({
    id: open.id,
    amount: nano(30),
    inputTokens: 2,
    outputTokens: 3,
    basis,
  });
  await dead.expire(1000);
  assert.equal(await lease.recover(), 1);
  const refund = await writeRefund(ledgers, ledger, () => hold(ledger, key));
  await ledger.bookLoss(timeOrderedId(), nano(20), 'refused late');
  const content = '{"any":"prices"}';
  const priceVersion = `test-${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  await rememberPrices(sql, [{ priceVersion, priceContent: content }]);
  const [made] = await sql<{ id: string }[]>`
    SELECT receipt_keys_add(sha256('some public key')) AS id`;
  const [bonus] = await sql<{ day: string }[]>`
    SELECT ledger_day(created_at)::text AS day FROM transfers WHERE kind = 'bonus'`;
  await countAll(ledgers);
  return {
    payer,
    other,
    charged: charged.id,
    lost: lost.id,
    open: open.id,
    recovered: recovered.id,
    free: free.id,
    refund,
    key,
    priceVersion,
    receiptKey: made?.id ?? '',
    bonusDay: bonus?.day ?? '',
  };
}

/** A request that another ran in place of; returns the id of what was given back. */
async function writeRefund(
  { owner, database: { sql } }: Ledgers,
  ledger: Ledger,
  hold: () => Promise<NewHold>,
): Promise<string> {
  const [first, again] = [await hold(), await hold()];
  await ledger.settle(settlementOf(first, 60));
  await ledger.settle(settlementOf(again, 45));
  await owner`
    INSERT INTO superseded_requests (id, successor, key_id, key_hash, body_hash)
    VALUES (${first.id}, ${again.id}, ${first.keyId}, '', '')`;
  await sql`SELECT ledger_refund_superseded()`;
  const [refund] = await sql<{ id: string }[]>`SELECT id FROM request_refunds`;
  assert.ok(refund);
  return refund.id;
}

/** Until the totals of the days know of all lines that are there now. */
export async function countAll({ database: { sql } }: Ledgers): Promise<void> {
  const [clock] = await sql<{ now: string }[]>`SELECT clock_timestamp()::text AS now`;
  await until('all days are counted', async () => {
    while (await countDays(sql, 0));
    const [mark] = await sql<{ all: boolean }[]>`
      SELECT counted_to >= ${clock?.now ?? ''}::text::timestamptz AS "all" FROM day_totals_mark`;
    return mark?.all === true;
  });
}

class RollBack extends Error {}

/** What an audit says of the transaction’s own, uncommitted books. */
async function auditWithin(transaction: Pick<Sql, 'unsafe'>): Promise<AuditReport> {
  const stand = { begin: (_: string, work: (sql: unknown) => unknown) => work(transaction) };
  // as: audit uses nothing of it but begin
  return audit(stand as unknown as Sql);
}

/** Takes the guards of the tables of money away, for the transaction. */
async function disarm(transaction: Sql): Promise<void> {
  const tables = [...moneyTables, ...saleTables];
  const checks = await transaction<{ tab: string; name: string }[]>`
    SELECT conrelid::regclass::text AS tab, conname AS name FROM pg_constraint
    WHERE contype IN ('c', 'f', 'u') AND conparentid = 0 AND conrelid::regclass::text = ANY (${tables})`;
  for (const { tab, name } of checks)
    await transaction`ALTER TABLE ${transaction(tab)} DROP CONSTRAINT ${transaction(name)}`;
  const counted = await transaction<{ tab: string; name: string }[]>`
    SELECT table_name AS tab, column_name AS name FROM information_schema.columns
    WHERE table_name = ANY (${tables}::text[]) AND is_identity = 'YES'`;
  for (const { tab, name } of counted)
    await transaction`ALTER TABLE ${transaction(tab)} ALTER COLUMN ${transaction(name)} DROP IDENTITY`;
  for (const table of tables)
    await transaction`ALTER TABLE ${transaction(table)} DISABLE TRIGGER USER`;
}

/**
 * Falsifies the books, against all constraints and triggers, audits them, and takes it back; for each lie anew.
 * @param lies of each, statements that change one row each
 */
export async function auditsOfLies(
  { owner }: Pick<Ledgers, 'owner'>,
  lies: readonly (readonly string[])[],
): Promise<AuditReport[]> {
  const reports: AuditReport[] = [];
  const done = owner.begin(async (transaction) => {
    // as: a transaction builds statements as its pool does
    await disarm(transaction as unknown as Sql);
    for (const lie of lies) {
      await transaction`SAVEPOINT honest`;
      for (const statement of lie) {
        const { count } = await transaction.unsafe(statement);
        assert.equal(count, 1, `${statement} falsified ${count} rows`);
      }
      reports.push(await auditWithin(transaction));
      await transaction`ROLLBACK TO honest`;
    }
    throw new RollBack();
  });
  await assert.rejects(done, RollBack);
  return reports;
}
