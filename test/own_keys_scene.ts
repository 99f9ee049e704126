/** Two gateways without a fee and one with a fee of 5 percent on one database, a provider, and accounts that bring keys of their own. */
import assert from 'node:assert/strict';
import { createKey } from '../src/accounts/keys.ts';
import {
  addProviderKey,
  listProviderKeys,
  type ProviderKeyRecord,
} from '../src/accounts/provider_keys.ts';
import type { Sql } from '../src/db/connection.ts';
import { parseUsd } from '../src/wallet/money.ts';
import { creditWallet, openWallet } from '../src/wallet/wallets.ts';
import { type Hostile, startHostile } from './hostile.ts';
import { type Installation, startInstallation } from './installation.ts';
import { model } from './providers.ts';
import { openSharedDatabase } from './shared_database.ts';

const secret = 'one secret for every server of these tests';
/** What the operator asks with, and what an account does. */
export const houseKey = 'sk-house-key-canary-0001';
export const ownText = 'sk-own-key-canary-of-rahim-7777';

export interface Account {
  readonly userId: string;
  readonly walletId: number;
  readonly email: string;
  readonly key: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly id: string;
}

export interface OwnScene {
  readonly owner: Sql;
  readonly upstream: Hostile;
  readonly first: Installation;
  readonly second: Installation;
  readonly dear: Installation;
  /** For commands on its database. */
  readonly env: Record<string, string>;
  account(usd?: string): Promise<Account>;
  /** @param by the secret of the installation */
  bring(who: Account, text?: string, fallback?: boolean, by?: string): Promise<ProviderKeyRecord>;
  ask(server: Installation, who: Account, body?: object): Promise<Answer>;
  get(server: Installation, who: Account, path: string): Promise<string>;
  /** nano-USD. */
  balanceOf(who: Account): Promise<number>;
  /** The keys that the provider was asked with. */
  askedWith(): (string | undefined)[];
  /** What the owner of the account sees of his first key. */
  seen(who: Account): Promise<ProviderKeyRecord & { readonly readable: boolean }>;
  /** Stops everything, and proves that the books are clean and that no log holds a key. */
  stop(): Promise<void>;
}

export async function startOwnScene(): Promise<OwnScene> {
  const stack = new AsyncDisposableStack();
  const { url, owner } = stack.use(await openSharedDatabase());
  const upstream = await startHostile();
  stack.defer(() => upstream.close());
  const settings = {
    OPENAI_API_KEY: houseKey,
    OPENAI_BASE_URL: upstream.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: secret,
    LEASE_MS: '2000',
    RECOVERY_GRACE_MS: '2500',
  };
  const serve = async (more: Record<string, string> = {}): Promise<Installation> =>
    stack.use(await startInstallation({ databaseUrl: url, env: { ...settings, ...more } }));
  const [first, second, dear] = await Promise.all([
    serve(),
    serve(),
    serve({ OWN_KEY_FEE_PERCENT: '5' }),
  ]);
  const stop = async (): Promise<void> => {
    try {
      const report = await first.akai('audit');
      assert.equal(report.ok, true, JSON.stringify(report));
      for (const server of [first, second, dear])
        for (const text of [ownText, houseKey])
          assert.ok(!server.output().includes(text), 'the log holds a provider key');
    } finally {
      await stack.disposeAsync();
    }
  };
  return {
    ...{ owner, upstream, first, second, dear, stop },
    env: { ...settings, DATABASE_URL: url },
    account: (usd = '0') => account(owner, usd),
    bring: ({ userId }, text = ownText, fallback = false, by = secret) => {
      const options = { userId, provider: 'openai', text, fallback, note: '', who: 'the test' };
      return addProviderKey(owner, by, options);
    },
    ask,
    get,
    balanceOf: async ({ walletId }) => {
      const [row] = await owner<{ balance: number }[]>`
        SELECT balance FROM ledger_accounts WHERE id = ${walletId}`;
      return row?.balance ?? Number.NaN;
    },
    askedWith: () =>
      upstream.received.map(({ headers }) => headers.authorization?.replace('Bearer ', '')),
    seen: async ({ userId }) => {
      const [key] = await listProviderKeys(owner, secret, userId);
      assert.ok(key);
      return key;
    },
  };
}

let accounts = 0;

async function account(owner: Sql, usd: string): Promise<Account> {
  accounts += 1;
  const email = `own-${accounts}@example.com`;
  const [user] = await owner<{ id: string }[]>`
    INSERT INTO users (name, email) VALUES ('x', ${email}) RETURNING id`;
  assert.ok(user);
  const walletId = await openWallet(owner, user.id);
  if (usd !== '0')
    await creditWallet(owner, walletId, parseUsd(usd), { kind: 'topup', note: 'Test' });
  const { key } = await createKey(owner, { userId: user.id, walletId, name: 'test' });
  return { userId: user.id, walletId, email, key };
}

async function ask(
  { baseUrl }: Installation,
  { key }: Account,
  body: object = {},
): Promise<Answer> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...body }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  for (const canary of [ownText, houseKey]) assert.ok(!text.includes(canary), 'a key was told');
  const { status, headers } = response;
  return { status, text, headers, id: String(headers.get('x-request-id')) };
}

async function get({ baseUrl }: Installation, { key }: Account, path: string): Promise<string> {
  const response = await fetch(`${baseUrl}${path}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(response.status, 200);
  return response.text();
}
