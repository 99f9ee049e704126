/** UddoktaPay's adapter against its stand-in: the whole way of a payment, and every way in which it goes wrong. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { type SandboxUddoktapay, startSandboxUddoktapay } from '../sandbox/uddoktapay.ts';
import { usualFaults } from '../sandbox/uddoktapay_panel.ts';
import {
  type PaidPayment,
  type Payer,
  type PaymentFacts,
  type PaymentMethod,
  ProviderRefused,
  ProviderSilent,
  type Truth,
} from './method.ts';
import { parseTaka } from './taka.ts';
import { panelAddress, type UddoktapaySettings, uddoktapay } from './uddoktapay.ts';

let panel: SandboxUddoktapay;
let method: PaymentMethod;
let shop: Server;
let shopUrl = '';
/** Webhooks as they reached us, in their order. */
const webhooks: { body: string; headers: Headers }[] = [];

before(async () => {
  panel = await startSandboxUddoktapay();
  method = uddoktapay(settings({}));
  shop = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
    webhooks.push({ body, headers });
    response.end();
  });
  shop.listen(0, '127.0.0.1');
  await once(shop, 'listening');
  const address = shop.address();
  assert.ok(typeof address === 'object' && address);
  shopUrl = `http://127.0.0.1:${address.port}`;
});

after(async () => {
  await panel.close();
  shop.closeAllConnections();
  shop.close();
});

beforeEach(() => {
  Object.assign(panel.faults, usualFaults(), { ipn: 'off' });
  webhooks.length = 0;
});

function settings(change: Partial<UddoktapaySettings>): UddoktapaySettings {
  const { baseUrl, apiKey } = panel;
  return { mode: 'sandbox', baseUrl, apiKey, refunds: true, ...change };
}

const noAnswers = ['html', 'error_500', 'wrong_status', 'truncated', 'cut', 'none'] as const;

let count = 0;
function newPayment(amount = '500.00'): PaymentFacts {
  count += 1;
  return {
    id: `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`,
    invoice: `TOP01J8ZK${count}`,
    amount: parseTaka(amount),
    providerId: null,
    nonce: null,
    captureAsked: false,
    createdAt: new Date(),
  };
}

const payer: Payer = {
  reference: 'user_8f21',
  name: 'Rahim Uddin',
  email: 'rahim@example.com',
  address: '203.0.113.7',
  mobile: true,
};

const addresses = () => ({
  callback: `${shopUrl}/callback`,
  cancel: `${shopUrl}/cancel`,
  webhook: `${shopUrl}/webhook`,
});

const post = (url: string, form: Record<string, string>): Promise<Response> =>
  fetch(url, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual' });

/** Pays, or whatever `act` says, and comes back with what the browser brings. */
async function visit(page: string, act: string, more = {}): Promise<URLSearchParams> {
  const back = await post(page, { act, wallet: 'bkash', sender: '01311111111', ...more });
  await back.body?.cancel();
  return new URL(back.headers.get('location') ?? 'http://nowhere/').searchParams;
}

interface Paid {
  readonly payment: PaymentFacts;
  readonly page: string;
}

/** Opens a payment, does `act` at its page, and learns the invoice id from the way back. */
async function paid(act = 'pay', more = {}, payment = newPayment()): Promise<Paid> {
  const { redirectUrl } = await method.open(payment, payer, addresses());
  const { providerId } = method.claimOf(await visit(redirectUrl, act, more));
  assert.match(providerId ?? '', /^[A-Za-z0-9]{20}$/);
  return { payment: { ...payment, providerId }, page: redirectUrl };
}

/** @param page of a payment, whose last part names it in the panel, too */
const operate = (page: string, form: Record<string, string>): Promise<Response> =>
  post(page.replace('/payment/', '/admin/'), form);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const brief = ({ state, invoice, amount, trxId, foreign }: Truth) => ({
  ...{ state, invoice, amount, trxId, foreign },
});

test('a payment is opened, paid, and found paid', async () => {
  const payment = newPayment();
  const opened = await method.open(payment, payer, addresses());
  assert.match(opened.redirectUrl, /\/payment\/[0-9a-f]{40}$/);
  assert.equal(opened.providerId, null);
  const before = await method.ask(payment);
  assert.deepEqual([before.state, before.evidence.httpStatus], ['pending', null]);
  const claim = method.claimOf(await visit(opened.redirectUrl, 'pay'));
  assert.equal(claim.claims, 'unknown');
  const truth = await method.ask({ ...payment, providerId: claim.providerId });
  assert.match(truth.trxId ?? '', /^BKASH:[A-Z0-9]{10}$/);
  assert.deepEqual(
    { ...brief(truth), trxId: null },
    { state: 'paid', invoice: payment.invoice, amount: 50000, trxId: null, foreign: null },
  );
  assert.equal(truth.providerId, claim.providerId);
  assert.equal(truth.payer, '01311111111');
  const kept = JSON.stringify([opened.evidence, truth.evidence]);
  for (const secret of [panel.apiKey, 'Rahim', 'rahim@', '01311111111'])
    assert.ok(!kept.includes(secret), `${secret} is kept`);
});

test('a TrxID that waits for approval is authorised, and paid or failed as the operator says, days later', async () => {
  for (const [act, state] of [
    ['approve', 'paid'],
    ['reject', 'failed'],
  ] as const) {
    const { payment, page } = await paid('hand_in', { trx_id: `ck250nro${act.slice(0, 2)}` });
    const waiting = await method.ask(payment);
    assert.deepEqual([waiting.state, waiting.amount], ['authorised', 50000]);
    assert.match(waiting.reason ?? '', /approve/);
    await operate(page, { act });
    const late = await method.ask({ ...payment, createdAt: new Date(Date.now() - 25 * 3_600_000) });
    assert.deepEqual(
      [late.state, late.trxId],
      [state, `BKASH:CK250NRO${act.slice(0, 2)}`.toUpperCase()],
    );
  }
});

test('a cancelled payment brings no id and can still be paid', async () => {
  const payment = newPayment();
  const { redirectUrl } = await method.open(payment, payer, addresses());
  const claim = method.claimOf(await visit(redirectUrl, 'cancel'));
  assert.equal(claim.providerId, null);
  assert.equal((await method.ask(payment)).state, 'pending');
  const { providerId } = method.claimOf(await visit(redirectUrl, 'pay'));
  assert.equal((await method.ask({ ...payment, providerId })).state, 'paid');
});

test('a failed payment is failed', async () => {
  const { payment } = await paid('fail');
  const truth = await method.ask(payment);
  assert.deepEqual([truth.state, truth.invoice], ['failed', payment.invoice]);
});

test('a way back by POST brings the id in a form', () => {
  const claim = method.claimOf(new URLSearchParams('invoice_id=Erm9wzjM0FBwjSYT0QVb'));
  assert.equal(claim.providerId, 'Erm9wzjM0FBwjSYT0QVb');
  for (const nonsense of ['', 'invoice_id=', 'invoice_id=a%2Fb', `invoice_id=${'a'.repeat(65)}`])
    assert.equal(method.claimOf(new URLSearchParams(nonsense)).providerId, null, nonsense);
});

test('a closed tab heals by webhook', async () => {
  panel.faults.ipn = 'twice';
  const payment = newPayment();
  const { redirectUrl } = await method.open(payment, payer, addresses());
  await visit(redirectUrl, 'pay_close');
  await until(() => webhooks.length === 2);
  for (const { body, headers } of webhooks) {
    const hint = await method.webhook?.(body, headers);
    assert.equal(hint?.invoice, payment.invoice);
    assert.equal(hint?.receipt, null);
    assert.ok(!JSON.stringify(hint).includes('rahim@'));
    const truth = await method.ask({ ...payment, providerId: hint?.providerId ?? null });
    assert.equal(truth.state, 'paid');
  }
});

test('a webhook without our key is not believed', async () => {
  const { page } = await paid();
  await operate(page, { act: 'ipn_forged' });
  await operate(page, { act: 'ipn_no_header' });
  await operate(page, { act: 'ipn_once' });
  await until(() => webhooks.length === 3);
  const believed = await Promise.all(
    webhooks.map(({ body, headers }) => method.webhook?.(body, headers)),
  );
  assert.deepEqual(
    believed.map((hint) => hint !== null),
    [false, false, true],
  );
  const [, , { body, headers } = assert.fail()] = webhooks;
  for (const text of ['', '[]', '{"invoice_id":""}', body.slice(0, -1)])
    assert.equal(await method.webhook?.(text, headers), null, text);
  const keyless = uddoktapay(settings({ apiKey: '' }));
  const empty = new Headers({ 'RT-UDDOKTAPAY-API-KEY': '' });
  assert.equal(await keyless.webhook?.(body, empty), null);
  assert.equal(await method.webhook?.(body, empty), null);
});

test('what verify says is read with care', async () => {
  const { payment } = await paid('pay', { wallet: 'nagad', trx_id: '74XWHY1Q' });
  const usual = brief(await method.ask(payment));
  assert.deepEqual(usual, {
    ...{ state: 'paid', invoice: payment.invoice, amount: 50000 },
    ...{ trxId: 'NAGAD:74XWHY1Q', foreign: null },
  });
  const foreign = 'The payment at UddoktaPay names no invoice of ours.';
  const cases = [
    ['lower_case', usual],
    ['metadata_as_text', usual],
    ['number_amount', usual],
    ['bare_error', { state: 'unknown', invoice: null, amount: null, trxId: null, foreign: null }],
    ['error_with_data', { ...usual, state: 'unknown' }],
    ['new_word', { ...usual, state: 'unknown' }],
    ['no_trx_id', { ...usual, state: 'unknown', trxId: null }],
    ['no_metadata', { ...usual, invoice: null, foreign }],
    ['other_invoice', usual],
  ] as const;
  for (const [verify, expected] of cases) {
    panel.faults.verify = verify;
    const truth = await method.ask(payment);
    assert.deepEqual(brief(truth), expected, verify);
    assert.equal(truth.reason === null, truth.state === 'paid', verify);
    assert.equal(truth.providerId === payment.providerId, !/bare|other/.test(verify), verify);
  }
  panel.faults.verify = 'right';
  const stranger = await method.ask({ ...payment, providerId: 'Zz0000000000000000Zz' });
  assert.deepEqual([stranger.state, stranger.reason], ['unknown', 'Invalid invoice id.']);
});

test('the amount is what we asked for, whatever the panel charges, and what it was changed to', async () => {
  panel.faults.fee = 'percent_2';
  panel.faults.currency = 'USD';
  const { payment, page } = await paid();
  const truth = await method.ask(payment);
  assert.deepEqual([truth.amount, truth.currency], [50000, null]);
  assert.match(JSON.stringify(truth.evidence.body), /"charged_amount":"510.00"/);
  await operate(page, { act: 'amount', amount: '5.00' });
  const changed = await method.ask(payment);
  assert.deepEqual([changed.state, changed.amount], ['paid', 500]);
});

test('one TrxID over two payments is the same id', async () => {
  panel.faults.trxId = 'CK250NROQ5';
  const [first, second] = [await paid(), await paid()];
  const ids = [(await method.ask(first.payment)).trxId, (await method.ask(second.payment)).trxId];
  assert.deepEqual(ids, ['BKASH:CK250NROQ5', 'BKASH:CK250NROQ5']);
});

test('a panel that gives no answer, or one that is none, says nothing of a payment', async () => {
  const { payment } = await paid();
  const hasty = uddoktapay(settings({ timeoutMs: 300 }));
  for (const answer of noAnswers) {
    panel.faults.answer = answer;
    const truth = await hasty.ask(payment);
    assert.deepEqual([truth.state, truth.amount, truth.trxId], ['unknown', null, null], answer);
    assert.ok(truth.reason);
    await assert.rejects(hasty.open(newPayment(), payer, addresses()), ProviderSilent, answer);
  }
  panel.faults.answer = 'right';
  assert.equal((await method.ask(payment)).state, 'paid');
});

test('a refusal to open says what can be done, and nothing about our key', async () => {
  const open = (by: PaymentMethod, email: string) =>
    by.open(newPayment(), { ...payer, email }, addresses());
  await assert.rejects(open(method, 'nobody'), (error) => {
    assert.ok(error instanceof ProviderRefused);
    assert.match(error.message, /The email field must be a valid email address/);
    return true;
  });
  for (const by of [uddoktapay(settings({ apiKey: 'wrong' })), method]) {
    panel.faults.forbidden = by === method ? 'checkout-v2' : 'nothing';
    await assert.rejects(open(by, payer.email), (error) => {
      assert.ok(error instanceof ProviderRefused);
      assert.equal(error.message, 'UddoktaPay did not open the payment.');
      return true;
    });
  }
  panel.faults.forbidden = 'nothing';
  const opened = await method.open(newPayment(), { ...payer, name: ' ' }, addresses());
  assert.ok(opened.redirectUrl);
});

test('a panel address may be pasted in any form', async () => {
  for (const [pasted, address] of [
    ['https://pay.example.com', 'https://pay.example.com'],
    ['https://pay.example.com///', 'https://pay.example.com'],
    ['https://pay.example.com/api', 'https://pay.example.com'],
    ['https://pay.example.com//api/checkout-v2/', 'https://pay.example.com'],
    ['https://api.example.com/shop/api/checkout-v2', 'https://api.example.com/shop'],
    ['https://pay.example.com/apis', 'https://pay.example.com/apis'],
    ['ftp://pay.example.com', null],
    ['pay.example.com', null],
  ] as const)
    assert.equal(panelAddress(pasted), address, pasted);
  const sloppy = uddoktapay(settings({ baseUrl: `${panel.baseUrl}//api/checkout-v2//` }));
  assert.ok(await sloppy.open(newPayment(), payer, addresses()));
});

test('play money and real money do not meet', () => {
  const may = (mode: 'live' | 'sandbox', baseUrl: string, apiKey = 'k') =>
    uddoktapay({ mode, baseUrl, apiKey, refunds: false }).available === true;
  assert.ok(may('live', 'https://pay.example.com/api'));
  assert.ok(may('sandbox', 'https://sandbox.uddoktapay.com/api/checkout-v2'));
  assert.ok(may('sandbox', 'http://127.0.0.1:4000'));
  assert.ok(!may('sandbox', 'https://pay.example.com'));
  for (const url of [
    'https://sandbox.uddoktapay.com',
    'https://SANDBOX.uddoktapay.com./api',
    'http://127.0.0.1:4000',
    'https://localhost',
    'http://pay.example.com',
    '',
    'nothing',
  ])
    assert.ok(!may('live', url), url);
  assert.ok(!may('live', 'https://pay.example.com', ''));
});

test('a method that is not available asks nobody', async () => {
  const off = uddoktapay(settings({ mode: 'live' }));
  await assert.rejects(off.open(newPayment(), payer, addresses()), ProviderSilent);
  const truth = await off.ask({ ...newPayment(), providerId: 'Erm9wzjM0FBwjSYT0QVb' });
  assert.deepEqual([truth.state, truth.evidence.httpStatus], ['unknown', null]);
});

test('a refund is never taken for done, and refused only where nothing can have moved', async () => {
  const { payment } = await paid();
  const { trxId } = await method.ask(payment);
  const whole: PaidPayment = { ...payment, trxId: trxId ?? '', paidAt: new Date() };
  const give = async (amount = '200.00', by = method, of = whole) => {
    const order = { reference: 'RFND01', amount: parseTaka(amount), reason: 'Asked for it' };
    const { state, reason } = (await by.refund?.(of, order)) ?? {};
    return [state, reason];
  };
  assert.equal((await give())[0], 'unknown');
  panel.faults.refund = 'manual';
  assert.match(String((await give())[1]), /operator confirms/);
  panel.faults.refund = 'not_supported';
  assert.deepEqual(await give(), ['unknown', 'This gateway does not refund.']);
  panel.faults.refund = 'gateway';
  assert.deepEqual(await give('400.00'), ['unknown', 'Amount exceeds the payment.']);
  panel.faults.forbidden = 'refund-payment';
  assert.deepEqual(await give(), ['refused', 'This key may not do that.']);
  panel.faults.forbidden = 'nothing';
  const hasty = uddoktapay(settings({ timeoutMs: 3000 }));
  panel.faults.of = 'refund-payment';
  for (const answer of noAnswers) {
    panel.faults.answer = answer;
    assert.equal((await give('1.00', hasty))[0], 'unknown', answer);
  }
  panel.faults.of = 'verify-payment';
  panel.faults.answer = 'cut';
  assert.equal((await give('1.00', hasty))[0], 'refused', 'the refund was never asked for');
  panel.faults.answer = 'right';
  assert.equal((await give('1.00', method, { ...whole, trxId: 'BKASH:OTHER00000' }))[0], 'refused');
  assert.equal(uddoktapay(settings({ refunds: false })).refund, undefined);
});
