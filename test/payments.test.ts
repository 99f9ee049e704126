/** Paying in a browser: through each provider's page, as a person would, until the credit is in the wallet. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, withBrowser } from './browser.ts';
import { type Installation, startInstallation } from './installation.ts';
import { newVisitor, refused, Visitor } from './site_visitor.ts';

let browser: Browser | null = null;
let installation: Installation;
/** Who tops up. */
let rahim: Visitor;

before(async () => {
  installation = await startInstallation({
    env: { MANUAL_PAYMENTS: 'bkash:send_money:01712345678:Send Money only' },
  });
  browser = await openBrowser();
  rahim = await newVisitor(installation.origin);
});

after(async () => {
  await browser?.close();
  await installation?.remove();
});

async function begin(
  method: string,
  taka: string,
): Promise<{ id: string; redirectUrl: string; credit: number }> {
  const { status, body } = await rahim.post('/api/topups', { method, taka });
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.state, 'pending');
  return {
    id: String(body.id),
    redirectUrl: String(body.redirectUrl),
    credit: Number(body.creditUsd),
  };
}

const balance = async (): Promise<number> => Number((await rahim.get('/api/wallet')).body.balance);

/** Does as a person would on the provider's page, and waits for ours. Returns what ours says. */
async function pay(url: string, act: (page: Page) => Promise<unknown>): Promise<string> {
  assert.ok(browser);
  const page = await browser.newPage({ locale: 'en-US' });
  try {
    await page.goto(url);
    await act(page);
    await page.waitForURL(/\/payments\//);
    return (await page.textContent('h1')) ?? '';
  } finally {
    await page.close();
  }
}

async function payByBkash(page: Page, act = 'next'): Promise<void> {
  for (const value of ['01770618575', '123456', '12121']) {
    await page.fill('#value', value);
    await page.click(`button[value="${value === '12121' ? act : 'next'}"]`);
  }
}

const ways: readonly [method: string, act: (page: Page) => Promise<unknown>][] = [
  ['bkash', payByBkash],
  ['nagad', (page) => page.click('button[value="pay"]')],
  ['uddoktapay', (page) => page.click('button[value="pay"]')],
];

for (const [method, act] of ways)
  test(
    `${method}: paid on the provider's page, credited once, in the statement`,
    withBrowser,
    async () => {
      const earlier = await balance();
      const topup = await begin(method, '500');
      assert.match(await pay(topup.redirectUrl, act), /4\.09 is in your wallet/);
      const shown = await rahim.get(`/api/topups/${topup.id}`);
      assert.equal(shown.body.state, 'credited', JSON.stringify(shown.body));
      assert.ok(Math.abs((await balance()) - earlier - topup.credit) < 1e-9);
      const { body } = await rahim.get('/api/wallet?type=TOPUP');
      // as: the statement has lines
      const lines = body.transactions as { amount: number; description: string }[];
      assert.equal(lines.filter(({ amount }) => amount === topup.credit).length >= 1, true);
    },
  );

for (const [method, cancel] of [
  ['bkash', 'cancel'],
  ['nagad', 'abort'],
  ['uddoktapay', 'cancel'],
] as const)
  test(`${method}: cancelled on the provider's page, nothing credited`, withBrowser, async () => {
    const earlier = await balance();
    const topup = await begin(method, '501');
    const said = await pay(topup.redirectUrl, (page) => page.click(`button[value="${cancel}"]`));
    assert.match(said, /cancelled|Waiting for the payment/);
    assert.equal(await balance(), earlier);
  });

test('a closed tab heals by itself: paid at Nagad, never came back', withBrowser, async () => {
  assert.ok(browser);
  const topup = await begin('nagad', '502');
  const page = await browser.newPage();
  await page.goto(topup.redirectUrl);
  await page.click('button[value="pay_stay"]');
  await page.close();
  const checked = await rahim.post(`/api/topups/${topup.id}/check`);
  assert.equal(checked.body.state, 'credited');
});

test(
  'by hand: instructions, a TrxID with a slip, then one that a person looks at',
  withBrowser,
  async () => {
    assert.ok(browser);
    const topup = await begin('manual', '500');
    const page = await browser.newPage({ locale: 'en-US' });
    await page.goto(topup.redirectUrl);
    assert.match((await page.textContent('main')) ?? '', /send exactly ৳500\.00 to 01712345678/);
    await page.fill('input[name="trx_id"]', 'CK25');
    await page.click('button[type="submit"]');
    assert.match((await page.textContent('[role="alert"]')) ?? '', /10 letters and digits/);
    assert.equal(await page.inputValue('input[name="trx_id"]'), 'CK25');
    await page.fill('input[name="trx_id"]', 'ck250nroq5');
    await page.click('button[type="submit"]');
    await page.waitForURL(/\/payments\//);
    assert.match((await page.textContent('h1')) ?? '', /A person is looking/);
    const said = (await page.textContent('main')) ?? '';
    assert.match(said, /Thank you for the TrxID/);
    assert.doesNotMatch(said, /does not fit/);
    await page.close();
  },
);

test('who asks for another’s top-up is refused, and a stranger’s address knows nothing', async () => {
  const topup = await begin('nagad', '503');
  const stranger = new Visitor(installation.origin);
  assert.equal((await stranger.get(`/api/topups/${topup.id}`)).status, 401);
  const karim = await newVisitor(installation.origin);
  refused(await karim.get(`/api/topups/${topup.id}`), 403, 'user_mismatch');
  assert.deepEqual((await karim.get('/api/topups')).body, { topups: [], hasMore: false });
  assert.equal(
    (await stranger.get(`/api/payments/nagad/return/${'x'.repeat(32)}?status=Success`)).status,
    404,
  );
  assert.equal(
    (await stranger.post('/api/payments/bkash/webhook', { Type: 'Notification' })).status,
    403,
  );
  assert.equal((await stranger.post('/api/payments/nagad/webhook', {})).status, 404);
});

test(
  'money goes back through each provider, once, and only what is unspent',
  withBrowser,
  async () => {
    const earlier = await balance();
    const became: Record<string, unknown> = {};
    for (const [method, act] of ways) {
      const topup = await begin(method, '504');
      await pay(topup.redirectUrl, act);
      const words = ['payment', 'refund', '--id', topup.id, '--reason', 'asked for', '--taka'];
      await assert.rejects(installation.akai(...words, '504.01'), /504\.00 can be refunded/);
      became[method] = (await installation.akai(...words, '504')).state;
    }
    // UddoktaPay only says that it noted the refund: a person has to see that the money went.
    const expected = { bkash: 'refunded', nagad: 'refunded', uddoktapay: 'needs_review' };
    assert.deepEqual(became, expected);
    assert.ok(Math.abs((await balance()) - earlier) < 1e-9);
  },
);

test('who comes back over and over does not make us ask and write without end', async () => {
  const topup = await begin('manual', '505');
  for (let count = 0; count < 70; count += 1) {
    const { status } = await fetch(topup.redirectUrl, { redirect: 'manual' });
    assert.equal(status, 303);
  }
  const { timeline } = await installation.akai<{ timeline: unknown[] }>(
    ...['payment', 'show', '--id', topup.id],
  );
  assert.ok(timeline.length > 50 && timeline.length < 68, `${timeline.length} events`);
  const checked = await Promise.all(
    Array.from({ length: 130 }, () => rahim.post(`/api/topups/${topup.id}/check`)),
  );
  assert.deepEqual([...new Set(checked.map(({ status }) => status))].sort(), [200, 429]);
});

test('the books are right after all of it', async () => {
  const { ok, findings } = await installation.akai<{ ok: boolean; findings?: unknown }>('audit');
  assert.equal(ok, true, JSON.stringify(findings));
});

test('where a provider of models is real, nobody tops up at a stand-in', async () => {
  const real = await startInstallation({ env: { OPENAI_API_KEY: 'sk-unused' } });
  try {
    const visitor = await newVisitor(real.origin);
    const answer = await visitor.post('/api/topups', { method: 'bkash', taka: 500 });
    refused(answer, 503, 'payment_method_unavailable');
  } finally {
    await real.remove();
  }
});
