/** A wallet that was rich a moment ago: the hold travels beside the call, is refused late, and nothing is delivered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBooks } from './books.ts';
import { startHostile } from './hostile.ts';
import { good } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';

const model = 'openai/gpt-4o-mini';

test('a hold that is refused late: 402, no byte of the answer, the cost is the operator’s', async () => {
  const upstream = await startHostile(
    good({ text: 'never to be seen', chunks: ['never to be seen'] }),
  );
  const installation = await startInstallation({
    env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: upstream.baseUrl, HOLD_WAIT_MS: '100' },
  });
  const books = await openBooks(installation);
  try {
    const ask = async (stream: boolean): Promise<Response> =>
      fetch(`${installation.baseUrl}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${installation.key}` },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
      });
    for (const stream of [false, true]) {
      const first = await ask(stream);
      assert.match(await first.text(), /never to be seen/);
      // Another process takes all that is free, which this one has not heard of.
      const [other] = await books.sql<{ id: string }[]>`
        INSERT INTO instances (id, lease_until) VALUES (gen_random_uuid(), now() + interval '1 hour') RETURNING id`;
      const [wallet] = await books.sql<{ id: number; free: number }[]>`
        SELECT id, balance - held AS free FROM ledger_accounts WHERE kind = 'wallet' AND balance > 9000000000`;
      assert.ok(other && wallet);
      await books.sql`
        SELECT ledger_hold_one(${other.id}, gen_random_uuid(), ${wallet.id}, ${wallet.free}, ${wallet.free},
          NULL, 'other', false, 0, 0)`;
      upstream.forget();
      const refused = await ask(stream);
      const text = await refused.text();
      assert.equal(refused.status, 402, text);
      assert.ok(!text.includes('never to be seen'));
      assert.equal(upstream.received.length, 1, 'the call did not travel beside the hold');
      const id = (refused.headers.get('x-request-id') ?? '').slice(4);
      const [loss] = await books.sql<{ amount: number }[]>`
        SELECT amount FROM transfers WHERE id = ${id} AND kind = 'loss'`;
      assert.ok((loss?.amount ?? 0) > 0, 'the loss is not booked');
      const held = await books.sql`SELECT id FROM holds WHERE instance <> ${other.id}`;
      assert.equal(held.length, 0);
      await books.sql`UPDATE ledger_accounts SET held = 0 WHERE id = ${wallet.id}`;
      await books.sql`DELETE FROM holds WHERE instance = ${other.id}`;
    }
    assert.equal((await installation.akai('audit')).ok, true);
  } finally {
    await books[Symbol.asyncDispose]();
    await installation.remove();
    await upstream.close();
  }
});
