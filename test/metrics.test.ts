/** What an operator's monitoring sees of the books, over HTTP: who may, what it says, and how soon it says that a row lies. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { type Books, openBooks } from './books.ts';
import { type Installation, startInstallation } from './installation.ts';
import { until } from './scratch_data.ts';

let installation: Installation;
let books: Books;
before(async () => {
  const env = { AUDIT_INTERVAL_MS: '200' };
  installation = await startInstallation({ env });
  books = await openBooks(installation);
});
after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
});

function metric(text: string, name: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? null : Number(line.slice(name.length + 1));
}

async function read(headers: Record<string, string> = {}, origin = installation.origin) {
  const response = await fetch(`${origin}/metrics`, { headers });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
  };
}

/** `fetch` sets the host itself. */
function statusFor(host: string): Promise<number> {
  const { port } = new URL(installation.origin);
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/metrics', headers: { host } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.on('error', reject).end();
  });
}

test('the metrics are text for Prometheus, and true', async () => {
  await until(
    'the books were audited twice',
    async () => (metric((await read()).text, 'akai_audit_runs_total') ?? 0) > 1,
  );
  const { status, type, text } = await read();
  assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  for (const line of text.trimEnd().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[\w ]+"\})? -?\d+(\.\d+)?(e[+-]\d+)?)$/);
  assert.equal(metric(text, 'akai_audit_ok'), 1);
  assert.equal(metric(text, 'akai_audit_findings'), 0);
  assert.equal(metric(text, 'akai_holds_open'), 0);
  assert.ok((metric(text, 'akai_audit_last_run_age_seconds') ?? 99) < 10);
  const [sums] = await books.sql<{ wallets: number; count: number }[]>`
    SELECT sum(balance)::bigint AS wallets, count(*) FILTER (WHERE kind = 'wallet') AS count FROM ledger_accounts`;
  assert.equal(metric(text, 'akai_balance_nanousd{account="wallets"}'), sums?.wallets);
  // What was topped up, and what the demo account was given.
  const given = ['clearing', 'promotion'].map(
    (account) => metric(text, `akai_balance_nanousd{account="${account}"}`) ?? 0,
  );
  assert.equal(
    given.reduce((sum, amount) => sum + amount),
    -(sums?.wallets ?? 0),
  );
  assert.equal(metric(text, 'akai_wallets'), sums?.count);
  assert.equal(metric(text, 'akai_http_requests_in_flight'), 1);
  assert.ok((metric(text, 'process_resident_memory_bytes') ?? 0) > 1e7);
});

test('who is not on this machine, or came through a proxy, is told of nothing', async () => {
  for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])
    assert.equal((await read({ [header]: '203.0.113.7' })).status, 404, header);
  assert.equal(await statusFor('rebound.example.com'), 404);
  assert.equal(await statusFor('localhost'), 200);
});

test('a row that lies is on the metrics, in the log and in the history, until it is mended', async () => {
  const falsify = (sign: string) =>
    books.sql.unsafe(
      `UPDATE ledger_accounts SET balance = balance ${sign} 1 WHERE kind = 'wallet' AND balance > 0`,
    );
  await falsify('+');
  await until('the metrics say so', async () => metric((await read()).text, 'akai_audit_ok') === 0);
  const said = /THE BOOKS ARE WRONG: it is not true of \d+ that a wallet’s balance/;
  await until('the log says so', () => said.test(installation.output()));
  await assert.rejects(
    installation.akai('audit'),
    /a wallet’s balance is the sum of its transfers/,
  );
  await assert.rejects(installation.akai('audit', '--history'), /ended with 1/);
  await falsify('-');
  // What the owner of the database has found, only the owner takes back.
  assert.equal((await installation.akai('audit')).ok, true);
  await until(
    'the metrics are content',
    async () => metric((await read()).text, 'akai_audit_ok') === 1,
  );
  const { runs, findings } = await installation.akai<{
    runs: { findings: number }[];
    findings: unknown[];
  }>('audit', '--history');
  assert.deepEqual(findings, []);
  assert.ok(runs.some((run) => run.findings > 0));
});

test('with a token, who has it may read them, and nobody else', async () => {
  const token = 'a-token-of-the-test';
  await installation.stop();
  const { dataDir } = installation;
  installation = await startInstallation({ dataDir, env: { METRICS_TOKEN: token } });
  assert.equal((await read()).status, 404);
  assert.equal((await read({ authorization: 'Bearer another' })).status, 404);
  const { status, text } = await read({
    authorization: `Bearer ${token}`,
    'x-forwarded-for': '203.0.113.7',
  });
  assert.equal(status, 200);
  assert.equal(metric(text, 'akai_database_up'), 1);
});
