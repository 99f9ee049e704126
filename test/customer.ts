/** Somebody with a wallet and a key, made in the database of a test as the command line makes them. */
import { randomUUID } from 'node:crypto';
import { createKey, type NewKey } from '../src/accounts/keys.ts';
import type { Sql } from '../src/db/connection.ts';
import { parseUsd } from '../src/wallet/money.ts';
import { creditWallet, openWallet } from '../src/wallet/wallets.ts';

export interface Customer {
  readonly email: string;
  readonly walletId: number;
  readonly key: string;
  /** Nano-USD that the wallet began with. */
  readonly credit: number;
}

/** Another key of an account. @param sql may make keys */
export async function anotherKey(
  sql: Sql,
  email: string,
  more: Partial<NewKey> = {},
): Promise<{ id: string; key: string }> {
  const [user] = await sql<{ id: string }[]>`SELECT id FROM users WHERE email = ${email}`;
  if (!user) throw new Error(`nobody is ${email}`);
  const walletId = await openWallet(sql, user.id);
  return createKey(sql, { userId: user.id, walletId, name: 'another', ...more });
}

/** They have no password. @param sql may make accounts */
export async function makeCustomer(sql: Sql, usd: string): Promise<Customer> {
  const email = `owner-${randomUUID().slice(0, 8)}@example.com`;
  const [user] = await sql<{ id: string }[]>`
    INSERT INTO users (name, email) VALUES ('owner', ${email}) RETURNING id`;
  if (!user) throw new Error('no user was made');
  const walletId = await openWallet(sql, user.id);
  const { balance } = await creditWallet(sql, walletId, parseUsd(usd), {
    kind: 'topup',
    note: 'Test credit',
  });
  const { key } = await createKey(sql, { userId: user.id, walletId, name: 'test' });
  return { email, walletId, key, credit: balance };
}
