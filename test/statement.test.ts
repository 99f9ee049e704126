/** What an account sees of its wallet after it has used it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nano } from '../src/wallet/money.ts';
import { creditWallet, walletStatement } from '../src/wallet/wallets.ts';
import { openBooks } from './books.ts';
import { startInstallation } from './installation.ts';

interface Shown {
  readonly balance: number;
  readonly transactions: readonly Readonly<Record<string, unknown>>[];
}

test('a charge is described by the name of its model; the latest comes first, whatever it is', async () => {
  await using installation = await startInstallation();
  await using books = await openBooks(installation);
  const { baseUrl, key, email, akai } = installation;
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model: 'anthropic/claude-3-5-sonnet',
      messages: [{ role: 'user', content: 'Hello' }],
    }),
  });
  assert.equal(response.status, 200, await response.text());
  const { balance, transactions } = await akai<Shown>('wallet', 'show', '--email', email);
  const [charge, topup] = transactions;
  assert.deepEqual(Object.keys(charge ?? {}), [
    'id',
    'amount',
    'type',
    'description',
    'status',
    'createdAt',
  ]);
  assert.equal(charge?.description, 'Chat: Claude 3.5 Sonnet');
  assert.equal(charge.id, response.headers.get('x-request-id')?.replace('req_', 'tx_'));
  assert.equal(topup?.description, 'Test credit');
  const spent = Number(charge.amount);
  assert.ok(spent < 0 && Math.abs(10 + spent - balance) < 1e-9);

  const [wallet] = await books.sql<{ id: number }[]>`
    SELECT a.id FROM ledger_accounts a JOIN users u ON u.id = a.user_id WHERE u.email = ${email}`;
  assert.ok(wallet);
  const notes = Array.from({ length: 20 }, (_, index) => `credit ${index}`);
  for (const note of notes) {
    await creditWallet(books.sql, wallet.id, nano(1), { kind: 'bonus', note });
    // Ids tell milliseconds apart, no less.
    await sleep(2);
  }
  const latest = await walletStatement(books.sql, wallet.id, 5);
  assert.deepEqual(
    latest.transactions.map(({ description }) => description),
    notes.slice(-5).reverse(),
  );
});
