/** The stand-in of UddoktaPay is as strict as the real one, and its pages can be used by a person. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type SandboxUddoktapay, startSandboxUddoktapay } from './uddoktapay.ts';
import { usualFaults } from './uddoktapay_panel.ts';

let panel: SandboxUddoktapay;
before(async () => {
  panel = await startSandboxUddoktapay();
});
after(() => panel.close());
beforeEach(() => {
  Object.assign(panel.faults, usualFaults(), { ipn: 'off' });
});

const charge = {
  full_name: 'Rahim Uddin',
  email: 'rahim@example.com',
  amount: '500.00',
  metadata: { intent_id: 'TOP01J8ZK3' },
  redirect_url: 'http://127.0.0.1:9/back?of=us',
  return_type: 'GET',
  cancel_url: 'http://127.0.0.1:9/cancel',
};

async function call(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; location: string | null }> {
  const response = await fetch(panel.baseUrl + path, {
    method: 'POST',
    headers: {
      'RT-UDDOKTAPAY-API-KEY': panel.apiKey,
      'content-type': 'application/json',
      accept: 'application/json',
      ...headers,
    },
    body: JSON.stringify(body),
    redirect: 'manual',
  });
  const location = response.headers.get('location');
  return { status: response.status, text: await response.text(), location };
}

async function newPage(change = {}): Promise<string> {
  const { status, text } = await call('/api/checkout-v2', { ...charge, ...change });
  assert.equal(status, 200, text);
  const { payment_url } = JSON.parse(text);
  assert.match(payment_url, /^http:\/\/127\.0\.0\.1:\d+\/payment\/[0-9a-f]{40}$/);
  return payment_url;
}

async function post(page: string, form: Record<string, string>) {
  const body = new URLSearchParams(form);
  const response = await fetch(page, { method: 'POST', body, redirect: 'manual' });
  const location = response.headers.get('location');
  return { status: response.status, text: await response.text(), location };
}

const invoiceIn = (location: string | null): string =>
  new URL(location ?? 'http://nowhere').searchParams.get('invoice_id') ?? '';

describe('the API', () => {
  test('wants a key that may do it', async () => {
    const wrong = await call('/api/checkout-v2', charge, { 'RT-UDDOKTAPAY-API-KEY': 'no' });
    assert.deepEqual([wrong.status, JSON.parse(wrong.text).status], [401, false]);
    panel.faults.forbidden = 'verify-payment';
    assert.equal((await call('/api/verify-payment', { invoice_id: 'a' })).status, 403);
    assert.equal((await call('/api/checkout-v2', charge)).status, 200);
  });

  test('complains of each field as Laravel does', async () => {
    for (const [change, says] of [
      [{ full_name: '' }, 'The full name field is required.'],
      [{ email: 'nobody' }, 'The email field must be a valid email address.'],
      [{ amount: '0.00' }, 'The amount field must be a number greater than 0.'],
      [{ amount: '-5' }, 'The amount field must be a number greater than 0.'],
      [{ metadata: undefined }, 'The metadata field is required.'],
      [{ metadata: 'TOP' }, 'The metadata field must be an array.'],
      [{ redirect_url: 'back' }, 'The redirect url field must be a valid URL.'],
      [{ cancel_url: null }, 'The cancel url field is required.'],
      [{ return_type: 'PUT' }, 'The return type field is invalid.'],
      [{ webhook_url: 'x' }, 'The webhook url field must be a valid URL.'],
    ] as const) {
      const { status, text } = await call('/api/checkout-v2', { ...charge, ...change });
      assert.deepEqual([status, JSON.parse(text).message], [422, says]);
    }
    const { text } = await call('/api/refund-payment', {});
    assert.equal(
      JSON.parse(text).message,
      'The transaction id field is required. (and 4 more errors)',
    );
    const form = await call(
      '/api/verify-payment',
      { invoice_id: 'a' },
      { 'content-type': 'text/plain' },
    );
    assert.equal(form.status, 422, 'JSON only');
  });

  test('has one path for each call', async () => {
    assert.equal((await call('/api//checkout-v2', charge)).status, 404);
    assert.equal((await call('//api/checkout-v2', charge)).status, 404);
    const slash = await call('/api/checkout-v2/', charge);
    assert.deepEqual([slash.status, slash.location], [301, '/api/checkout-v2']);
    const browser = await call('/api/checkout-v2', charge, { accept: 'text/html' });
    assert.deepEqual([browser.status, browser.location], [302, '/']);
    assert.equal((await fetch(`${panel.baseUrl}/api/checkout-v2`)).status, 405);
  });

  test('takes an amount as text and as a number', async () => {
    for (const amount of ['20', '20.5', 20, 20.5]) assert.ok(await newPage({ amount }));
  });
});

describe('the page', () => {
  test('goes back by GET with the invoice id, and again when it is opened again', async () => {
    const page = await newPage();
    const { status, location } = await post(page, { act: 'pay', wallet: 'rocket' });
    assert.equal(status, 302);
    assert.match(location ?? '', /\/back\?of=us&invoice_id=[A-Za-z0-9]{20}$/);
    const again = await fetch(page, { redirect: 'manual' });
    assert.equal(again.headers.get('location'), location);
    const { text } = await call('/api/verify-payment', { invoice_id: invoiceIn(location) });
    const { date, transaction_id, ...rest } = JSON.parse(text);
    assert.match(date, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    assert.match(transaction_id, /^\d{10}$/);
    assert.deepEqual(rest, {
      full_name: 'Rahim Uddin',
      email: 'rahim@example.com',
      amount: '500.00',
      fee: '0.00',
      charged_amount: '500.00',
      invoice_id: invoiceIn(location),
      metadata: { intent_id: 'TOP01J8ZK3' },
      payment_method: 'rocket',
      sender_number: '01770618575',
      status: 'COMPLETED',
    });
  });

  test('goes back by POST where GET was not asked for', async () => {
    const { return_type: _, ...withoutType } = charge;
    const { text } = await call('/api/checkout-v2', withoutType);
    const back = await post(JSON.parse(text).payment_url, { act: 'pay' });
    assert.equal(back.status, 200);
    assert.match(back.text, /method="post" action="http:\/\/127\.0\.0\.1:9\/back\?of=us"/);
    assert.match(back.text, /name="invoice_id" value="[A-Za-z0-9]{20}"/);
  });

  test('takes a TrxID once, and not one that no message has confirmed, if so set', async () => {
    const form = { act: 'hand_in', wallet: 'bkash', trx_id: 'ck250nroq5' };
    assert.equal((await post(await newPage(), { ...form, trx_id: '' })).status, 422);
    assert.equal((await post(await newPage(), form)).status, 302);
    const again = await post(await newPage(), form);
    assert.match(again.text, /This transaction has been used already\./);
    panel.faults.unmatched = 'not_found';
    const page = await newPage();
    const unknown = await post(page, { ...form, trx_id: 'CK250NROQ6' });
    assert.match(unknown.text, /Transaction not found\./);
    assert.equal((await post(page, { act: 'pay' })).status, 302);
  });

  test('says in both languages that it is a sandbox, and shows what it is given as text', async () => {
    const page = await newPage({ full_name: '<b>"Rahim"</b>' });
    for (const url of [page, `${panel.baseUrl}/admin`]) {
      const text = await (await fetch(url)).text();
      assert.match(text, /<b>SANDBOX<\/b>No real money moves here/);
      assert.match(text, /আসল টাকা লেনদেন হয় না/);
      assert.ok(text.includes('&lt;b&gt;&quot;Rahim&quot;&lt;/b&gt;'));
      assert.ok(!text.includes('<b>"Rahim'));
    }
  });
});

test('the panel approves, changes amounts, and has its switches', async () => {
  await post(`${panel.baseUrl}/admin`, { fee: 'fixed_10', refund: 'manual', verify: 'nonsense' });
  assert.deepEqual(
    [panel.faults.fee, panel.faults.refund, panel.faults.verify],
    ['fixed_10', 'manual', 'right'],
  );
  const page = await newPage();
  const admin = page.replace('/payment/', '/admin/');
  await post(admin, { act: 'approve' });
  const { location } = await post(page, { act: 'hand_in', trx_id: 'CK250NROQ7' });
  const verify = async () =>
    JSON.parse((await call('/api/verify-payment', { invoice_id: invoiceIn(location) })).text);
  assert.equal((await verify()).status, 'PENDING', 'nothing to approve before');
  await post(admin, { act: 'approve' });
  await post(admin, { act: 'amount', amount: '450.50' });
  const { status, amount, fee, charged_amount } = await verify();
  assert.deepEqual(
    [status, amount, fee, charged_amount],
    ['COMPLETED', '450.50', '10.00', '460.50'],
  );
});
