/** The people of a round: each with a wallet, some money, and as many keys as their requests need. */
import { randomUUID } from 'node:crypto';
import { createKey } from '../../src/accounts/keys.ts';
import type { Sql } from '../../src/db/connection.ts';
import { parseUsd } from '../../src/wallet/money.ts';
import { creditWallet, openWallet } from '../../src/wallet/wallets.ts';

export interface Key {
  readonly id: string;
  readonly key: string;
}

export interface Account {
  readonly name: string;
  readonly walletId: number;
  /** Nano-USD that it began with. */
  readonly credit: number;
  /** Its requests are so dear that the wallet is soon used up. */
  readonly poor: boolean;
  /**
   * Keys that no open request uses. One whose request ended without telling its id is not used again, so that what the
   * ledger knows of that request can be found by its key.
   */
  readonly keys: Key[];
}

const people = [
  { name: 'rich', usd: '50', poor: false, keys: 150 },
  { name: 'busy', usd: '5', poor: false, keys: 150 },
  { name: 'poor', usd: '0.70', poor: true, keys: 60 },
] as const;

/** Makes the accounts of one round. @throws what the driver throws */
export async function makeAccounts(sql: Sql): Promise<Account[]> {
  const made = people.map(async ({ name, usd, poor, keys }): Promise<Account> => {
    const [user] = await sql<{ id: string }[]>`
      INSERT INTO users (name, email) VALUES (${name}, ${`${name}-${randomUUID()}@example.com`}) RETURNING id`;
    if (!user) throw new Error('no user was made');
    const walletId = await openWallet(sql, user.id);
    const { balance } = await creditWallet(sql, walletId, parseUsd(usd), {
      kind: 'topup',
      note: 'for a crash round',
    });
    const owner = { userId: user.id, walletId, name: 'crash round' };
    const all = await Promise.all(Array.from({ length: keys }, () => createKey(sql, owner)));
    return { name, walletId, credit: balance, poor, keys: all };
  });
  return Promise.all(made);
}
