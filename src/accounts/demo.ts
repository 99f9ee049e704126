/** The demo account of a sandbox without real providers: a key that works at once, with play money. */

import { type Config, isReal } from '../config.ts';
import type { Database, Sql } from '../db/database.ts';
import { parseUsd } from '../wallet/money.ts';
import { creditWallet, openWallet, walletBalance } from '../wallet/wallets.ts';
import { createKey, findKeyByHash, hashKey } from './keys.ts';
import { derivedSecret, installationSecret, seal, unseal } from './secret.ts';

const email = 'demo@sandbox.local';
const credit = parseUsd('5');
/** Below this the wallet is filled again at start, so that the printed line never answers 402. */
const low = parseUsd('1');

/** Whether demo keys are good here: only where nobody's real money can be spent with them. */
export function demoAllowed(config: Config): boolean {
  if (config.mode !== 'sandbox') return false;
  return ![...config.providers.values()].some(isReal);
}

/**
 * The demo key, made at the first call and the same at every later one; null where it is not allowed.
 * It is kept encrypted under the installation's secret, because its hash alone could not be printed again.
 */
export async function demoKey(database: Database, config: Config): Promise<string | null> {
  if (!demoAllowed(config)) return null;
  const { sql } = database;
  const secret = await installationSecret(config);
  // Processes of one database may have different secrets: each then has a demo key of its own.
  const name = `demo key ${derivedSecret(secret, 'fingerprint').slice(0, 12)}`;
  const userId = await demoUser(sql);
  const walletId = await openWallet(sql, userId);
  if ((await walletBalance(sql, walletId)) < low)
    await creditWallet(sql, walletId, credit, { kind: 'bonus', note: 'Sandbox credit' });
  const known = await storedKey(sql, secret, name);
  if (known) return known;
  const { key } = await createKey(sql, { userId, walletId, name: 'Demo', demo: true });
  await sql`
    INSERT INTO installation_secrets (name, sealed) VALUES (${name}, ${seal(secret, name, key)})
    ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, created_at = now()`;
  return key;
}

/** Without a password and so without a way to sign in: the key is all that a demo needs. */
async function demoUser(sql: Sql): Promise<string> {
  await sql`INSERT INTO users (name, email) VALUES ('Demo', ${email}) ON CONFLICT (email) DO NOTHING`;
  const [row] = await sql<{ id: string }[]>`SELECT id FROM users WHERE email = ${email}`;
  if (!row) throw new Error('The demo account could not be made');
  return row.id;
}

async function storedKey(sql: Sql, secret: string, name: string): Promise<string | null> {
  const [row] = await sql<{ sealed: Buffer }[]>`
    SELECT sealed FROM installation_secrets WHERE name = ${name}`;
  const key = row ? unseal(secret, name, row.sealed) : null;
  const record = key ? await findKeyByHash(sql, hashKey(key)) : null;
  return record && record.revokedAt === null && record.expiresAt === null ? key : null;
}
