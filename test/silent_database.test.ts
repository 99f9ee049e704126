/** A database that is there and does not answer: requests hear 503 soon, nothing is delivered unpaid, and all is well afterwards. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBooks } from './books.ts';
import { startHostile } from './hostile.ts';
import { good } from './hostile_behaviours.ts';
import { startInstallation } from './installation.ts';

function postmasterOf(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);
}

test('frozen connections: 503 within seconds, free, and answered again when they are replaced', async () => {
  const upstream = await startHostile(good());
  const installation = await startInstallation({
    env: { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: upstream.baseUrl },
  });
  const books = await openBooks(installation);
  const ask = async (stream: boolean): Promise<{ status: number; text: string; id: string }> => {
    const response = await fetch(`${installation.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${installation.key}` },
      body: JSON.stringify({
        model: 'openai/gpt-4o-mini',
        stream,
        messages: [{ role: 'user', content: 'Hi' }],
      }),
      signal: AbortSignal.timeout(30_000),
    });
    const id = response.headers.get('x-request-id') ?? '';
    return { status: response.status, text: await response.text(), id };
  };
  const frozen: number[] = [];
  try {
    assert.equal((await ask(false)).status, 200);
    const backends = await books.sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity WHERE application_name = 'akai ledger'`;
    const postmaster = postmasterOf(installation.dataDir);
    for (const pid of [postmaster, ...backends.map((backend) => backend.pid)]) {
      process.kill(pid, 'SIGSTOP');
      frozen.push(pid);
    }
    assert.ok(frozen.length > 1);
    const asked = performance.now();
    const answers = await Promise.all([ask(false), ask(true), ask(false)]);
    assert.ok(performance.now() - asked < 20_000);
    for (const { status, text } of answers) {
      assert.equal(status, 503, text);
      assert.equal(JSON.parse(text).code, 'database_unavailable');
    }
    for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT');
    for (;;) {
      const { status } = await ask(true);
      if (status === 200) break;
      assert.ok(performance.now() - asked < 40_000, 'it does not recover');
    }
    await books.settled();
    for (const { id } of answers) {
      const rows = await books.sql<{ charged: number }[]>`
        SELECT charged FROM receipts WHERE id = ${id.slice(4)}`;
      assert.ok(rows.every(({ charged }) => charged === 0));
    }
    assert.equal((await installation.akai('audit')).ok, true);
  } finally {
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
    await books[Symbol.asyncDispose]();
    await installation.remove();
    await upstream.close();
  }
});
