/** The stand-in for Nagad, asked by a client of its own making, which shares nothing with the adapter. */

import assert from 'node:assert/strict';
import {
  constants,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { startSandboxNagad } from './nagad.ts';

type Json = Record<string, unknown>;

/** 30 minutes past midnight of a March day in Dhaka, still the evening before in London. */
const now = new Date('2026-03-04T18:30:15.123Z');
const stamp = '20260305003015';
let laterMs = 0;
let nagad: Awaited<ReturnType<typeof startSandboxNagad>>;
let keys: Awaited<ReturnType<typeof nagad.credentials>>;
let orders = 0;

before(async () => {
  nagad = await startSandboxNagad({ now: () => new Date(now.getTime() + laterMs) });
  keys = await nagad.credentials();
});
after(() => nagad.close());
afterEach(() => {
  laterMs = 0;
  Object.assign(nagad.faults, {
    answers: {},
    slowMs: 0,
    inProgressPolls: 0,
    successAfterLeavingMs: 0,
    wrong: {},
  });
});

const headers = {
  'Content-Type': 'application/json',
  'X-KM-Api-Version': 'v-0.2.0',
  'X-KM-IP-V4': '203.0.113.9',
  'X-KM-Client-Type': 'PC_WEB',
};

const der = (base64: string) => Buffer.from(base64, 'base64');
const nagadKey = () => createPublicKey({ key: der(keys.publicKey), format: 'der', type: 'spki' });
const ownKey = () => createPrivateKey({ key: der(keys.privateKey), format: 'der', type: 'pkcs8' });

function sealed(plain: Json): { sensitiveData: string; signature: string } {
  const bytes = Buffer.from(JSON.stringify(plain));
  const padding = constants.RSA_PKCS1_PADDING;
  return {
    sensitiveData: publicEncrypt({ key: nagadKey(), padding }, bytes).toString('base64'),
    signature: sign('sha256', bytes, ownKey()).toString('base64'),
  };
}

function opened({ sensitiveData, signature }: Json): Json {
  const bytes = privateDecrypt(
    { key: ownKey(), padding: constants.RSA_PKCS1_PADDING },
    der(String(sensitiveData)),
  );
  assert.ok(verify('sha256', bytes, nagadKey(), der(String(signature))), 'signed by Nagad');
  return JSON.parse(bytes.toString());
}

async function post(
  path: string,
  body: unknown,
  changed: Record<string, string> = {},
): Promise<Json> {
  const response = await fetch(nagad.baseUrl + path, {
    method: 'POST',
    headers: { ...headers, ...changed },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return JSON.parse(await response.text());
}

async function get(path: string): Promise<Json> {
  return JSON.parse(await (await fetch(nagad.baseUrl + path)).text());
}

const freshOrder = (): string => `TOP${String((orders += 1)).padStart(5, '0')}`;

interface Changes {
  readonly plain?: Json;
  readonly body?: Json;
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

function initialize(orderId: string, changes: Changes = {}): Promise<Json> {
  const { merchantId, merchantNumber } = nagad;
  const plain = {
    merchantId,
    datetime: stamp,
    orderId,
    challenge: 'c'.repeat(40),
    ...changes.plain,
  };
  return post(
    changes.path ?? `/check-out/initialize/${merchantId}/${orderId}`,
    { accountNumber: merchantNumber, dateTime: stamp, ...sealed(plain), ...changes.body },
    changes.headers,
  );
}

async function begun(
  orderId = freshOrder(),
): Promise<{ orderId: string; reference: string; challenge: string }> {
  const { paymentReferenceId, challenge } = opened(await initialize(orderId));
  return { orderId, reference: String(paymentReferenceId), challenge: String(challenge) };
}

function complete(order: Awaited<ReturnType<typeof begun>>, changes: Changes = {}): Promise<Json> {
  const { orderId, challenge } = order;
  const plain = {
    merchantId: nagad.merchantId,
    orderId,
    currencyCode: '050',
    amount: '100.50',
    challenge,
    ...changes.plain,
  };
  return post(
    changes.path ?? `/check-out/complete/${encodeURIComponent(order.reference)}`,
    {
      ...sealed(plain),
      merchantCallbackURL: 'https://shop.example/back',
      additionalMerchantInfo: { order_no: orderId },
      ...changes.body,
    },
    changes.headers,
  );
}

async function ready(): Promise<{ orderId: string; reference: string; page: string }> {
  const order = await begun();
  const { callBackUrl, status } = await complete(order);
  assert.equal(status, 'Success');
  return { ...order, page: String(callBackUrl) };
}

function choose(page: string, choice: string): Promise<Response> {
  return fetch(page, { method: 'POST', body: new URLSearchParams({ choice }), redirect: 'manual' });
}

const verification = (reference: string) => get(`/verify/payment/${encodeURIComponent(reference)}`);

describe('a payment', () => {
  test('is begun, completed, paid on the page, and verified', async () => {
    const order = await begun();
    const name = Buffer.from(order.reference, 'base64').toString();
    assert.equal(name, `0305003015123.${nagad.merchantId}.${order.orderId}.${order.challenge}`);
    assert.equal((await verification(order.reference)).status, 'Initiated');
    const { callBackUrl } = await complete(order);
    assert.equal((await verification(order.reference)).status, 'OrderInitiated');
    const page = await (await fetch(String(callBackUrl))).text();
    for (const part of ['SANDBOX', '৳100.50', order.orderId, 'স্যান্ডবক্স'])
      assert.ok(page.includes(part), part);
    assert.equal((await verification(order.reference)).status, 'Ready');
    const paid = await choose(String(callBackUrl), 'pay');
    assert.equal(paid.status, 303);
    const away = paid.headers.get('location') ?? '';
    assert.ok(away.startsWith('https://shop.example/back/?merchant='), away);
    const { issuer_payment_ref, ...returned } = Object.fromEntries(new URL(away).searchParams);
    assert.deepEqual(returned, {
      merchant: nagad.merchantId,
      order_id: order.orderId,
      payment_ref_id: order.reference,
      status: 'Success',
      status_code: '00_0000_000',
      message: 'Successful Transaction',
      payment_dt: stamp,
    });
    const { issuerPaymentRefNo, ...shown } = await verification(order.reference);
    assert.match(String(issuerPaymentRefNo), /^[A-Z0-9]{8}$/);
    assert.equal(Buffer.from(issuer_payment_ref ?? '', 'base64').toString(), issuerPaymentRefNo);
    assert.deepEqual(shown, {
      merchantId: nagad.merchantId,
      orderId: order.orderId,
      paymentRefId: order.reference,
      amount: '100.5',
      clientMobileNo: '017****5678',
      merchantMobileNo: nagad.merchantNumber,
      orderDateTime: '2026-03-05 00:30:15.0',
      issuerPaymentDateTime: '2026-03-05 00:30:15.0',
      additionalMerchantInfo: JSON.stringify({ order_no: order.orderId }),
      status: 'Success',
      statusCode: '000',
      cancelIssuerDateTime: null,
      cancelIssuerRefNo: null,
      serviceType: 'REGULAR_ECOM',
    });
    const again = await choose(String(callBackUrl), 'fail');
    assert.ok((await again.text()).includes('This payment is over.'));
    assert.equal((await verification(order.reference)).status, 'Success');
  });

  for (const [choice, status, code] of [
    ['fail', 'Failed', '50_0026_851'],
    ['abort', 'Aborted', 'SIM_ABORTED'],
  ] as const)
    test(`may end by ${choice}`, async () => {
      const { page, reference } = await ready();
      const away = new URL((await choose(page, choice)).headers.get('location') ?? '');
      assert.equal(away.searchParams.get('status'), status);
      assert.equal(away.searchParams.get('status_code'), code);
      assert.equal(away.searchParams.get('issuer_payment_ref'), null);
      const shown = await verification(reference);
      assert.deepEqual([shown.status, shown.issuerPaymentRefNo], [status, null]);
    });

  test('is decided once, however many clicks', async () => {
    const { page, reference } = await ready();
    const choices = ['pay', 'fail', 'abort', 'pay', 'fail', 'abort'];
    const answers = await Promise.all(choices.map((choice) => choose(page, choice)));
    const away = answers.map((answer) => answer.headers.get('location')).filter(Boolean);
    assert.equal(away.length, 1);
    const { status } = await verification(reference);
    assert.equal(new URL(away[0] ?? '').searchParams.get('status'), status);
  });

  test('may be paid without a way back, or left open', async () => {
    const { page, reference } = await ready();
    const left = await choose(page, 'leave');
    assert.equal(left.status, 200);
    assert.equal((await verification(reference)).status, 'Ready');
    const paid = await choose(page, 'pay_stay');
    assert.equal(paid.headers.get('location'), null);
    assert.equal((await verification(reference)).status, 'Success');
  });

  test('is cancelled once, when it is paid', async () => {
    const { page, reference, orderId } = await ready();
    const request = {
      merchantId: nagad.merchantId,
      originalRequestDate: stamp.slice(0, 8),
      orderId,
      originalAmount: '100.50',
      cancelAmount: '30.00',
      referenceNo: 'RFND01',
      referenceMessage: 'asked for',
    };
    const cancel = (changed: Json = {}) => {
      const { sensitiveData, signature } = sealed({ ...request, ...changed });
      return post(`/purchase/cancel?orderId=${orderId}`, {
        sensitiveDataCancelRequest: sensitiveData,
        signature,
      });
    };
    assert.equal((await cancel()).reason, 'SIM_4021');
    await choose(page, 'pay');
    assert.equal((await cancel({ cancelAmount: '100.51' })).reason, 'SIM_4023');
    assert.equal((await cancel({ originalRequestDate: '20260304' })).reason, 'SIM_4023');
    const { merchantId, orderId: _, ...answered } = request;
    assert.deepEqual(opened(await cancel()), { status: 'Success', ...answered });
    assert.equal((await cancel()).reason, 'SIM_4022');
    const shown = await verification(reference);
    assert.match(String(shown.cancelIssuerRefNo), /^[A-Z0-9]{8}$/);
    assert.equal(merchantId, shown.merchantId);
  });
});

describe('it refuses', () => {
  const initial: readonly [what: string, reason: string, changes: Changes][] = [
    ['another content type', 'SIM_4001', { headers: { 'Content-Type': 'text/plain' } }],
    ['another version', 'SIM_4002', { headers: { 'X-KM-Api-Version': 'v-0.1.0' } }],
    ['an IPv6 address', 'SIM_4003', { headers: { 'X-KM-IP-V4': '2001:db8::1' } }],
    ['an unknown client', 'SIM_4004', { headers: { 'X-KM-Client-Type': 'WEB' } }],
    ['another merchant', 'SIM_4005', { path: '/check-out/initialize/680000000000002/A1' }],
    [
      'an order id with a hyphen',
      'SIM_4006',
      { path: '/check-out/initialize/680000000000001/A-1' },
    ],
    [
      'a long order id',
      'SIM_4006',
      { path: `/check-out/initialize/680000000000001/${'A'.repeat(21)}` },
    ],
    ['UTC for Dhaka', 'SIM_4008', { body: { dateTime: '20260304183015' } }],
    ['a month of one digit', 'SIM_4008', { body: { dateTime: '2026305003015' } }],
    ['a time that is not the sealed one', 'SIM_4012', { plain: { datetime: '20260305003016' } }],
    ['another order in the seal', 'SIM_4012', { plain: { orderId: 'B1' } }],
    ['a short challenge', 'SIM_4013', { plain: { challenge: 'abc' } }],
    ['no seal', 'SIM_4009', { body: { sensitiveData: undefined } }],
    [
      'what is not encrypted for it',
      'SIM_4010',
      { body: { sensitiveData: 'A'.repeat(342).concat('==') } },
    ],
    ['a foreign signature', 'SIM_4011', { body: { signature: 'AAAA' } }],
    ['another number', 'SIM_4020', { body: { accountNumber: '01711111111' } }],
  ];
  for (const [what, reason, changes] of initial)
    test(`initialize with ${what}`, async () => {
      assert.equal((await initialize(freshOrder(), changes)).reason, reason);
    });

  test('an order id a second time', async () => {
    const { orderId } = await begun();
    assert.equal((await initialize(orderId)).reason, 'SIM_4007');
  });

  const completing: readonly [what: string, reason: string, changes: Changes][] = [
    ['another challenge', 'SIM_4013', { plain: { challenge: 'c'.repeat(20) } }],
    ['dollars', 'SIM_4016', { plain: { currencyCode: '840' } }],
    ['an amount without decimals', 'SIM_4017', { plain: { amount: '100' } }],
    ['nothing to pay', 'SIM_4017', { plain: { amount: '0.00' } }],
    ['another order', 'SIM_4012', { plain: { orderId: 'B1' } }],
    [
      'a callback with a query',
      'SIM_4018',
      { body: { merchantCallbackURL: 'https://shop.example/?a=1' } },
    ],
    ['a list for the order', 'SIM_4019', { body: { additionalMerchantInfo: [] } }],
    ['an unknown reference', 'SIM_4014', { path: '/check-out/complete/AAAA' }],
  ];
  for (const [what, reason, changes] of completing)
    test(`complete with ${what}`, async () => {
      const order = await begun();
      assert.equal((await complete(order, changes)).reason, reason);
    });

  test('a second completion, no JSON, unknown references and addresses', async () => {
    const order = await begun();
    await complete(order);
    assert.equal((await complete(order)).reason, 'SIM_4015');
    assert.equal(
      (await post(`/check-out/initialize/${nagad.merchantId}/A1`, '[]')).reason,
      'SIM_4000',
    );
    assert.equal((await verification('AAAA')).reason, 'SIM_4014');
    assert.equal((await get('/verify/payment/AAA=')).reason, 'SIM_4024');
    assert.equal((await get('/purchase/refund')).reason, 'SIM_4040');
    const page = await fetch(new URL('/check-out/AAAA', nagad.baseUrl));
    assert.deepEqual([page.status, (await page.text()).includes('no such payment')], [404, true]);
  });
});

describe('told to fail', () => {
  test('it answers as a firewall does, or with a devMessage', async () => {
    const { reference } = await ready();
    nagad.faults.answers.verify = 'firewall';
    const page = await fetch(`${nagad.baseUrl}/verify/payment/${encodeURIComponent(reference)}`);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /Request Rejected.*support ID/);
    nagad.faults.answers.verify = 'error';
    assert.match(String((await verification(reference)).devMessage), /Decryption failed/);
  });

  test('it cuts the connection, or the JSON', async () => {
    const { reference } = await ready();
    nagad.faults.answers.verify = 'silent';
    await assert.rejects(verification(reference), { message: 'fetch failed' });
    nagad.faults.answers.verify = 'truncated';
    await assert.rejects(verification(reference), SyntaxError);
  });

  test('it holds a success back, and says wrong things', async () => {
    const { page, reference } = await ready();
    nagad.faults.inProgressPolls = 2;
    await choose(page, 'pay');
    const words: unknown[] = [];
    for (let poll = 0; poll < 3; poll += 1) words.push((await verification(reference)).status);
    assert.deepEqual(words, ['InProgress', 'InProgress', 'Success']);
    nagad.faults.successAfterLeavingMs = 1000;
    assert.equal((await verification(reference)).status, 'InProgress');
    laterMs = 1000;
    assert.equal((await verification(reference)).status, 'Success');
    nagad.faults.wrong = { amount: '1' };
    assert.equal((await verification(reference)).amount, '1');
  });

  for (const fault of ['badSignature', 'tampered'] as const)
    test(`its answers do not prove themselves: ${fault}`, async () => {
      nagad.faults.answers.initialize = fault;
      const answer = await initialize(freshOrder());
      assert.throws(() => opened(answer));
    });
});
