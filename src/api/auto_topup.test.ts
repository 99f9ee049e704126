/** An automatic top-up through a real server and the stand-in for bKash: agreed on its page, charged without anybody, ended. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import { until } from '../../test/scratch_data.ts';
import { member, newVisitor, refused, type Visitor } from '../../test/site_visitor.ts';

const installation = await startInstallation({ env: { PAYMENTS_EVERY_MS: '200' } });
const { origin } = installation;
after(() => installation.remove());

/** What a customer types on the page of the stand-in; returns where it sends the browser. */
async function agree(page: string): Promise<string> {
  const { origin: bkash, searchParams } = new URL(page);
  for (const value of ['01770618575', '123456', '12121']) {
    const body = new URLSearchParams({
      paymentId: searchParams.get('paymentId') ?? '',
      hash: searchParams.get('hash') ?? '',
      value,
    });
    const answer = await fetch(`${bkash}/`, { method: 'POST', body, redirect: 'manual' });
    if (answer.status === 303) return answer.headers.get('location') ?? '';
    assert.equal(answer.status, 200, await answer.text());
  }
  throw new Error('the page did not send the browser back');
}

/** Over the network and from the shell: the same file. */
async function receiptIsThere(visitor: Visitor, id: string): Promise<void> {
  const headers = { cookie: visitor.cookie };
  const answer = await fetch(`${origin}/api/topups/${id}/receipt.pdf`, { headers });
  assert.equal(answer.headers.get('content-type'), 'application/pdf');
  const pdf = Buffer.from(await answer.arrayBuffer());
  assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
  const out = join(installation.dataDir, 'receipt.pdf');
  await installation.akai('payment', 'receipt', '--id', id, '--out', out);
  assert.ok(readFileSync(out).equals(pdf));
}

test('agreed once, it tops up by itself, until it is ended', async () => {
  const visitor = await newVisitor(origin);
  const rule = { belowUsd: '1.00', taka: 500, mostPerDay: 1, mostTakaPerMonth: 1000 };
  const put = (body: unknown) => visitor.ask('PUT', '/api/auto-topup', body);
  refused(await put(rule), 409, 'agreement_missing');
  refused(
    await visitor.post('/api/auto-topup/agreement', { method: 'nagad' }),
    503,
    'payment_method_unavailable',
    'method',
  );
  const begun = await visitor.post('/api/auto-topup/agreement', { method: 'bkash' });
  assert.equal(begun.status, 201, JSON.stringify(begun.body));
  const back = await agree(String(begun.body.redirectUrl));
  assert.ok(back.startsWith(`${origin}/api/payments/bkash/agreement/`), back);
  const other = await newVisitor(origin);
  for (const cookie of ['', other.cookie]) {
    const stranger = await fetch(back, { headers: { cookie } });
    assert.equal(stranger.status, 403);
    assert.match(await stranger.text(), /Sign in/);
    const inBangla = await fetch(back, { headers: { cookie, 'accept-language': 'bn' } });
    assert.match(await inBangla.text(), /<html lang="bn">.*<h1>যে অ্যাকাউন্ট থেকে চাওয়া হয়েছে/s);
  }
  const { body: before } = await visitor.get('/api/auto-topup');
  assert.equal(member(before, 'agreement', 'state'), 'pending');
  const own = await fetch(back, { headers: { cookie: visitor.cookie } });
  assert.match(await own.text(), /is agreed/);
  const set = await put(rule);
  assert.deepEqual(
    [member(set.body, 'agreement', 'state'), member(set.body, 'rule', 'taka')],
    ['active', 500],
  );
  assert.match(String(member(set.body, 'agreement', 'payer')), /^017\*+75$/);
  await until(
    'the wallet was topped up',
    async () => Number((await visitor.get('/api/wallet')).body.balance) > 4,
  );
  const topups = await visitor.get('/api/topups');
  assert.match(JSON.stringify(topups.body), /"state":"credited"/);
  await receiptIsThere(visitor, String(member(topups.body, 'topups', '0', 'id')));
  assert.equal((await visitor.ask('DELETE', '/api/auto-topup/agreement')).body.state, 'ended');
  refused(await visitor.ask('DELETE', '/api/auto-topup/agreement'), 404, 'not_found');
  assert.equal((await visitor.ask('DELETE', '/api/auto-topup')).status, 204);
  assert.equal((await visitor.get('/api/auto-topup')).body.rule, null);
});
