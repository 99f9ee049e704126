/** Mistakes of the gateway's own: nobody pays for them, and the line that says so is there. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openBooks } from '../books.ts';
import { startHostile } from '../hostile.ts';
import { good } from '../hostile_behaviours.ts';
import { startInstallation } from '../installation.ts';

const shim = pathToFileURL(join(import.meta.dirname, 'failing_process.ts')).href;
const upstream = await startHostile(good({ paceMs: 5 }));
const installation = await startInstallation({
  env: {
    OPENAI_API_KEY: 'test',
    OPENAI_BASE_URL: upstream.baseUrl,
    NODE_OPTIONS: `--import=${shim}`,
  },
});
const books = await openBooks(installation);
after(async () => {
  const report = await installation.akai('audit');
  await books[Symbol.asyncDispose]();
  await installation.remove();
  await upstream.close();
  assert.equal(report.ok, true, JSON.stringify(report));
});

const cases: readonly [where: string, model: string, calls: number, streamBegins: boolean][] = [
  ['the request is written', 'openai/gpt-4o-mini', 0, false],
  ['the usage is read', 'openai/gpt-4o', 1, true],
  ['the settlement is made', 'openai/gpt-6-luna', 1, true],
];
for (const [where, model, calls, streamBegins] of cases)
  for (const stream of [false, true])
    test(`an exception while ${where}, ${stream ? 'streamed' : 'JSON'}: free, with a reason, nothing stays held`, async () => {
      upstream.forget();
      const response = await fetch(`${installation.baseUrl}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${installation.key}` },
        body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hi' }] }),
        signal: AbortSignal.timeout(10_000),
      });
      const text = await response.text().catch(() => 'CUT');
      if (stream && streamBegins) assert.equal(text, 'CUT');
      else {
        assert.equal(response.status, 500, text);
        assert.equal(JSON.parse(text).code, 'internal_error');
      }
      assert.equal(upstream.received.length, calls);
      const requestId = response.headers.get('x-request-id') ?? '';
      const { outcome, cost, charged, detail } = await books.receipt(requestId);
      assert.deepEqual([outcome, cost, charged], ['released', 0, 0]);
      assert.equal(detail.reason, 'the gateway failed');
      await books.settled();
      const [wallet] = await books.sql<{ held: number; balance: number }[]>`
        SELECT a.held, a.balance FROM ledger_accounts a JOIN receipts r ON r.wallet = a.id
        WHERE r.id = ${requestId.slice(4)}`;
      assert.deepEqual({ ...wallet }, { held: 0, balance: 10_000_000_000 });
      const answer = await fetch(`${installation.baseUrl}/wallet?limit=1`, {
        headers: { authorization: `Bearer ${installation.key}` },
      });
      const [line] = JSON.parse(await answer.text()).transactions;
      assert.deepEqual([line.id, line.amount, line.type], [`tx_${requestId.slice(4)}`, 0, 'USAGE']);
    });
