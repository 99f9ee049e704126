/** Top-ups over HTTP: what there is to choose from, what a payment would give, what is refused and why, and what a payer can do when it went wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import {
  type Answer,
  member,
  newVisitor,
  refused,
  Visitor,
  visitorPassword,
} from '../../test/site_visitor.ts';
import { defaultRules } from '../payments/rules.ts';

const installation = await startInstallation();
const { origin, akai } = installation;
after(() => installation.remove());

const email = 'boss@example.com';
await akai('user', 'create', '--email', email, '--password', visitorPassword, '--admin');
const admin = new Visitor(origin);
assert.equal(
  (await admin.post('/api/auth/sign-in', { email, password: visitorPassword })).status,
  200,
);

async function rules(change: unknown): Promise<Answer> {
  const answer = await admin.ask('PATCH', '/api/admin/payment-rules', change);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer;
}

/** Does one thing on a page of a stand-in; returns where it leads. */
async function choose(page: string, form: Readonly<Record<string, string>>): Promise<URL> {
  const answer = await fetch(page, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
  });
  return new URL(answer.headers.get('location') ?? page, page);
}

test('the payer chooses among what the operator has set, and sees rate, fee and credit before paying', async () => {
  const visitor = await newVisitor(origin);
  const usual = await visitor.get('/api/topups/methods');
  assert.deepEqual(usual.body.presetsTaka, [50, 100, 200, 500, 1000, 2000]);
  assert.equal(member(usual.body, 'methods', '0', 'leastTaka'), 50);
  await rules({
    rate: { fixed: '120', margin: '2' },
    presets: [100, 300],
    methods: {
      bkash: { fee: { percent: '1.5', fixed: '5' }, bounds: { least: 100, most: 2000 } },
      nagad: { enabled: false },
    },
    bonuses: [{ from: 500, percent: '10' }],
  });
  const { body } = await visitor.get('/api/topups/methods');
  assert.deepEqual(body.presetsTaka, [100, 300]);
  assert.deepEqual(body.bonuses, [{ fromTaka: 500, percent: '10' }]);
  const [bkash, nagad] = ['0', '1'].map((index) => member(body, 'methods', index));
  assert.deepEqual(bkash, {
    ...{ id: 'bkash', name: 'bKash', available: true },
    ...{ leastTaka: 100, mostTaka: 2000, feePercent: '1.5', feeFixedTaka: '5' },
  });
  assert.equal(member(nagad, 'available'), false);

  const quote = (wish: object) => visitor.post('/api/topups/quote', { method: 'bkash', ...wish });
  const inTaka = await quote({ taka: 1000 });
  // ৳1000: fee ৳15 + ৳5; ৳980 at ৳120 × 1.02 a dollar, and a tenth on top.
  const expected = {
    taka: 1000,
    feeTaka: 20,
    rate: 122.4,
    creditUsd: 8.006535947,
    bonusUsd: 0.800653594,
  };
  const shown = ({ taka, feeTaka, rate, creditUsd, bonusUsd }: Record<string, unknown>) => ({
    ...{ taka, feeTaka, rate, creditUsd, bonusUsd },
  });
  assert.deepEqual(shown(inTaka.body), expected);
  const inUsd = await quote({ usd: 5 });
  assert.ok(Number(inUsd.body.creditUsd) >= 5 && Number(inUsd.body.creditUsd) < 5.001);
  refused(await quote({ taka: 99 }), 400, 'invalid_request', 'taka');
  refused(await quote({ taka: 2001 }), 400, 'invalid_request', 'taka');
  refused(await quote({ usd: 100 }), 400, 'invalid_request', 'usd');
  refused(await quote({ taka: 500, usd: 5 }), 400, 'invalid_request', 'taka');
  refused(await quote({ method: 'nagad', taka: 500 }), 503, 'payment_method_unavailable');

  const begun = await visitor.post('/api/topups', { method: 'bkash', taka: 1000 });
  await rules({ ...defaultRules, rate: { ...defaultRules.rate, fixed: '200' } });
  const later = await visitor.get(`/api/topups/${begun.body.id}`);
  for (const each of [begun, later]) assert.deepEqual(shown(each.body), expected, 'it is frozen');
  assert.equal((await quote({ taka: 1000 })).body.rate, 200);
  await rules({ rate: { fixed: null } });
});

test('every limit is the operator’s to set, and who meets one is told which', async () => {
  const set = Object.fromEntries(
    Object.entries(defaultRules.limits).map(([name, value]) => [name, value + 1]),
  );
  assert.deepEqual(member((await rules({ limits: set })).body, 'rules', 'limits'), set);
  const visitor = await newVisitor(origin);
  const begin = () => visitor.post('/api/topups', { method: 'nagad', taka: 500 });
  await rules({ limits: { ...defaultRules.limits, newAccountDay: 700 } });
  assert.equal((await begin()).status, 201);
  for (const [limit, sentence] of [
    [{ open: 1 }, /One payment of this account is open/],
    [{ perHour: 1 }, /within an hour/],
    [{ newAccountDay: 700 }, /৳700 a day in its first 3 days; ৳200\.00 of that are left/],
    [{ newDays: 0, newAccountDay: 600, accountDay: 600 }, /৳600 within 24 hours; ৳100\.00/],
    [{ newDays: 0, accountMonth: 500 }, /৳500 within 30 days; ৳0\.00/],
  ] as const) {
    await rules({ limits: { ...defaultRules.limits, ...limit } });
    const answer = await begin();
    refused(answer, 403, 'payment_limit');
    assert.match(String(answer.body.error), sentence);
  }
  await rules({ limits: defaultRules.limits });
});

test('paid but not credited: the payer names the transaction, and is credited or told why not', async () => {
  const visitor = await newVisitor(origin);
  const rescue = (method: string, trxId: string) =>
    visitor.post('/api/topups/rescue', { method, trxId });
  const none = await rescue('bkash', 'CK250NROQ5');
  assert.deepEqual([none.status, none.body.outcome], [200, 'refused']);
  assert.match(String(none.body.sentence), /You have begun no payment by bKash/);
  refused(await rescue('bkash', '?'), 400, 'invalid_request', 'trxId');
  const { body } = await visitor.post('/api/topups', { method: 'nagad', taka: 500 });
  const unpaid = await rescue('nagad', '74XWHY1Q');
  assert.equal(unpaid.body.outcome, 'refused');
  assert.match(String(unpaid.body.sentence), /Nagad does not call your payment of .* paid/);
  await choose(String(body.redirectUrl), { choice: 'pay_stay' });
  const { trxId } = (await visitor.post(`/api/topups/${body.id}/check`)).body;
  const rescued = await rescue('nagad', String(trxId));
  assert.deepEqual(
    [rescued.body.outcome, member(rescued.body, 'topup', 'id')],
    ['credited', body.id],
  );
  const stolen = await (await newVisitor(origin)).post('/api/topups/rescue', {
    method: 'nagad',
    trxId,
  });
  assert.equal(stolen.body.outcome, 'refused');
  assert.match(String(stolen.body.sentence), /belongs to another payment/);
});

test('the browser is sent back to this site, whatever host its owner’s request named', async () => {
  const visitor = await newVisitor(origin);
  const { port } = new URL(origin);
  const asked = request({ port, path: '/api/topups', method: 'POST' });
  for (const [name, value] of Object.entries({
    ...{ host: 'evil.example', 'x-forwarded-host': 'evil.example', origin },
    ...{ cookie: visitor.cookie, 'content-type': 'application/json' },
  }))
    asked.setHeader(name, value);
  asked.end(JSON.stringify({ method: 'nagad', taka: 500 }));
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const part of answer) text += part;
  const back = await choose(String(JSON.parse(text).redirectUrl), { choice: 'abort' });
  assert.equal(back.origin, origin);
  const callback = { method: 'nagad', taka: 500, callback: 'https://evil.example' };
  refused(await visitor.post('/api/topups', callback), 400, 'invalid_request', 'callback');
});

test('what an operator has to look at is empty, and fits its form', async () => {
  const listed = await admin.get('/api/admin/receipts');
  assert.deepEqual(listed.body, { receipts: [] });
});
