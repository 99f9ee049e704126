/** Nagad's adapter against the stand-in, over real sockets; and that it believes nothing that Nagad did not say. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { startSandboxNagad } from '../sandbox/nagad.ts';
import { makePairs } from '../sandbox/nagad_seal.ts';
import { SettingError } from '../setting.ts';
import {
  type PaidPayment,
  type Payer,
  type PaymentFacts,
  ProviderRefused,
  ProviderSilent,
} from './method.ts';
import { type NagadSettings, nagad } from './nagad.ts';
import { payerIp } from './nagad_api.ts';
import { paisa } from './taka.ts';

let standIn: Awaited<ReturnType<typeof startSandboxNagad>>;
let invoices = 0;

before(async () => {
  standIn = await startSandboxNagad();
});
after(() => standIn.close());
afterEach(() => {
  Object.assign(standIn.faults, {
    answers: {},
    slowMs: 0,
    inProgressPolls: 0,
    successAfterLeavingMs: 0,
    wrong: {},
  });
});

function method(changed: Partial<NagadSettings> = {}) {
  return nagad({
    mode: 'sandbox',
    baseUrl: standIn.baseUrl,
    merchantId: standIn.merchantId,
    merchantNumber: standIn.merchantNumber,
    keys: standIn.credentials,
    signature: 'sha256',
    refundApi: false,
    fallbackIp: '203.0.113.1',
    ...changed,
  });
}

const payer: Payer = {
  reference: 'u1',
  name: 'A',
  email: 'a@example.com',
  address: '::ffff:198.51.100.7',
  mobile: true,
};
const callback = 'https://shop.example/api/payments/nagad/return/secret';
const addresses = { callback, cancel: callback, webhook: callback };

function facts(letters = 17): PaymentFacts {
  invoices += 1;
  return {
    id: '00000000-0000-7000-8000-000000000001',
    invoice: `TOP${String(invoices).padStart(letters, '0')}`,
    amount: paisa(50_050),
    providerId: null,
    nonce: null,
    captureAsked: false,
    createdAt: new Date(),
  };
}

interface Opening {
  readonly payment: PaymentFacts & { readonly providerId: string };
  readonly page: string;
}

async function opening(by = method(), payment = facts()): Promise<Opening> {
  const { providerId, redirectUrl } = await by.open(payment, payer, addresses);
  assert.ok(providerId);
  return { payment: { ...payment, providerId }, page: redirectUrl };
}

/** Clicks on the page. @returns what the browser brings back; null where it does not come back */
async function choose(page: string, choice: string): Promise<URL | null> {
  const body = new URLSearchParams({ choice });
  const response = await fetch(page, { method: 'POST', body, redirect: 'manual' });
  const location = response.headers.get('location');
  return location === null ? null : new URL(location);
}

describe('a payment', () => {
  // The length of the invoice decides whether the reference ends with no, one or two equals signs.
  for (const letters of [15, 16, 17])
    test(`of an invoice of ${letters + 3} letters is opened, paid and believed`, async () => {
      const by = method();
      const { payment, page } = await opening(by, facts(letters));
      const back = await choose(page, 'pay');
      assert.equal(back?.pathname, `${new URL(callback).pathname}/`);
      assert.deepEqual(by.claimOf(back.searchParams), {
        claims: 'paid',
        providerId: payment.providerId,
        nonce: null,
      });
      const { evidence, paidAt, trxId, ...truth } = await by.ask(payment);
      assert.deepEqual(truth, {
        state: 'paid',
        providerId: payment.providerId,
        invoice: payment.invoice,
        amount: 50_050,
        currency: null,
        payer: '017****5678',
        foreign: null,
        reason: null,
      });
      assert.match(trxId ?? '', /^[A-Z0-9]{8}$/);
      assert.ok(paidAt && Math.abs(paidAt.getTime() - Date.now()) < 60_000, String(paidAt));
      assert.deepEqual(
        [evidence.operation, evidence.httpStatus, evidence.code],
        ['verify', 200, '000'],
      );
    });

  test('has references of all three endings', async () => {
    const endings = await Promise.all(
      [15, 16, 17].map(async (letters) =>
        (await opening(method(), facts(letters))).payment.providerId.replace(/[^=]/g, ''),
      ),
    );
    assert.deepEqual(endings.sort(), ['', '=', '==']);
  });

  for (const [choice, claims, state] of [
    ['fail', 'failed', 'failed'],
    ['abort', 'cancelled', 'cancelled'],
  ] as const)
    test(`that ends by ${choice} is ${state}, by Nagad's word`, async () => {
      const by = method();
      const { payment, page } = await opening(by);
      assert.deepEqual(
        [(await by.ask(payment)).state, (await by.ask(payment)).reason],
        ['pending', null],
      );
      const back = await choose(page, choice);
      assert.equal(back && by.claimOf(back.searchParams).claims, claims);
      const truth = await by.ask(payment);
      assert.equal(truth.state, state);
      assert.ok(truth.reason);
    });

  test('whose payer closed the tab is found by asking', async () => {
    const { payment, page } = await opening();
    assert.equal(await choose(page, 'pay_stay'), null);
    assert.equal((await method().ask(payment)).state, 'paid');
  });

  test('leaves no key, signature or encrypted part in what is kept', async () => {
    const { evidence } = await method().open(facts(), payer, addresses);
    const { privateKey } = await standIn.credentials();
    const kept = JSON.stringify(evidence);
    assert.ok(!kept.includes(privateKey.slice(40, 80)));
    assert.doesNotMatch(kept, /[\w+/]{300}/);
  });

  test('with SHA-1 under the signatures', async () => {
    const old = await startSandboxNagad({ hash: 'sha1' });
    try {
      const access = { baseUrl: old.baseUrl, keys: old.credentials };
      assert.ok((await opening(method({ ...access, signature: 'sha1' }))).page);
      await assert.rejects(opening(method(access)), ProviderRefused);
    } finally {
      await old.close();
    }
  });
});

describe('opening', () => {
  for (const operation of ['initialize', 'complete'] as const)
    for (const fault of ['firewall', 'silent', 'truncated', 'badSignature', 'tampered'] as const) {
      const signed = operation === 'initialize';
      if (!signed && (fault === 'badSignature' || fault === 'tampered')) continue;
      test(`is silence after ${fault} at ${operation}`, async () => {
        standIn.faults.answers[operation] = fault;
        await assert.rejects(opening(), (error) => {
          assert.ok(error instanceof ProviderSilent, String(error));
          assert.equal(error.evidence.operation, operation);
          return true;
        });
      });
    }

  test('is silence when the answer is late', async () => {
    standIn.faults.answers.initialize = 'slow';
    standIn.faults.slowMs = 5000;
    await assert.rejects(opening(method({ timeoutMs: 200 })), ProviderSilent);
  });

  test('is a refusal where Nagad gives a reason', async () => {
    standIn.faults.answers.complete = 'error';
    await assert.rejects(opening(), (error) => {
      assert.ok(error instanceof ProviderRefused);
      assert.match(error.message, /Nagad did not open the payment/);
      assert.equal(error.evidence.code, 'SIM_5000');
      return true;
    });
  });

  test('with keys of another pair is a refusal', async () => {
    const { privateKey } = await standIn.credentials();
    const other = await makePairs();
    const publicKey = other.nagad.publicKey.export({ format: 'pem', type: 'spki' }).toString();
    await assert.rejects(opening(method({ keys: { publicKey, privateKey } })), ProviderRefused);
  });

  test('tells the payer’s IPv4 where it is public', () => {
    const told = (address: string | null) => payerIp(address, 'fallback');
    assert.equal(told('103.4.145.7'), '103.4.145.7');
    assert.equal(told('::ffff:103.4.145.7'), '103.4.145.7');
    for (const address of [
      null,
      '',
      '::1',
      '2001:db8::1',
      '127.0.0.1',
      '::ffff:10.1.2.3',
      '192.168.1.9',
      '172.31.0.1',
      '100.64.0.1',
      '169.254.1.1',
      '0.0.0.0',
      '255.255.255.255',
      'unknown',
    ])
      assert.equal(told(address), 'fallback', String(address));
  });
});

describe('asking', () => {
  for (const fault of ['firewall', 'silent', 'truncated', 'error'] as const)
    test(`knows nothing after ${fault}`, async () => {
      const { payment, page } = await opening();
      await choose(page, 'pay');
      standIn.faults.answers.verify = fault;
      const truth = await method().ask(payment);
      assert.deepEqual([truth.state, truth.trxId, truth.amount], ['unknown', null, null]);
      assert.ok(truth.reason);
      assert.equal(truth.evidence.operation, 'verify');
      if (fault === 'firewall')
        assert.match(JSON.stringify(truth.evidence.body), /Request Rejected/);
      standIn.faults.answers.verify = undefined;
      assert.equal((await method().ask(payment)).state, 'paid');
    });

  test('knows nothing of an answer that is late, of an unknown reference, or of a payment never opened', async () => {
    const { payment } = await opening();
    standIn.faults.answers.verify = 'slow';
    standIn.faults.slowMs = 5000;
    assert.equal((await method({ timeoutMs: 200 }).ask(payment)).state, 'unknown');
    standIn.faults.answers.verify = undefined;
    assert.equal((await method().ask({ ...payment, providerId: 'AAAA' })).state, 'unknown');
    assert.equal((await method().ask({ ...payment, providerId: null })).state, 'unknown');
  });

  test('waits while Nagad is at it', async () => {
    const { payment, page } = await opening();
    standIn.faults.inProgressPolls = 2;
    await choose(page, 'pay');
    const states: string[] = [];
    for (let poll = 0; poll < 3; poll += 1) states.push((await method().ask(payment)).state);
    assert.deepEqual(states, ['pending', 'pending', 'paid']);
  });

  test('passes on what does not fit', async () => {
    const { payment, page } = await opening();
    await choose(page, 'pay');
    const said = async (wrong: Record<string, unknown>) => {
      standIn.faults.wrong = wrong;
      return method().ask(payment);
    };
    assert.equal((await said({ amount: '1' })).amount, 100);
    assert.equal((await said({ orderId: 'OTHER' })).invoice, 'OTHER');
    assert.equal((await said({ paymentRefId: 'OTHER' })).providerId, 'OTHER');
    assert.match((await said({ merchantId: '680000000000002' })).foreign ?? '', /680000000000002/);
    const given = await said({ cancelIssuerRefNo: 'AB12CD34' });
    assert.deepEqual([given.state, given.foreign !== null], ['pending', true]);
  });
});

describe('settings', () => {
  test('with a key that cannot be used stop the start', async () => {
    const { privateKey } = await standIn.credentials();
    assert.throws(() => method({ keys: { publicKey: 'AAAA', privateKey } }), {
      constructor: SettingError,
      message: /^NAGAD_PUBLIC_KEY is not an RSA public key/,
    });
  });

  const texts = async () => ({ keys: await standIn.credentials() });

  test('keep play money and real money apart', async () => {
    const given = await texts();
    const at = (mode: 'sandbox' | 'live', baseUrl: string) => method({ ...given, mode, baseUrl });
    assert.equal(at('live', '').available, true);
    assert.equal(at('live', 'https://api.mynagad.com/api/dfs').available, true);
    assert.equal(at('sandbox', 'https://sandbox-ssl.mynagad.com/api/dfs').available, true);
    assert.equal(
      at('sandbox', 'http://sandbox.mynagad.com:10080/remote-payment-gateway-1.0/api/dfs')
        .available,
      true,
    );
    for (const [mode, address, sentence] of [
      ['live', 'https://sandbox-ssl.mynagad.com/api/dfs', /Nagad's sandbox .* is live/],
      ['live', 'http://sandbox.mynagad.com:10080/api/dfs', /Nagad's sandbox/],
      ['live', 'http://api.mynagad.com/api/dfs', /must begin with https/],
      ['live', 'http://127.0.0.1:4000/api/dfs', /must begin with https/],
      ['sandbox', 'https://api.mynagad.com/api/dfs', /live server/],
      ['sandbox', 'https://payment.mynagad.com:30000', /live server/],
    ] as const)
      assert.throws(() => at(mode, address), { message: sentence }, address);
  });

  test('that are missing are named, and nothing is opened', async () => {
    const none = method({ baseUrl: '', merchantId: '', keys: { publicKey: '', privateKey: '' } });
    assert.deepEqual(none.available, {
      why: 'Nagad needs NAGAD_BASE_URL, NAGAD_MERCHANT_ID, NAGAD_PUBLIC_KEY, NAGAD_PRIVATE_KEY.',
    });
    await assert.rejects(none.open(facts(), payer, addresses), ProviderRefused);
    const live = method({ ...(await texts()), mode: 'live', baseUrl: '', fallbackIp: '' });
    assert.deepEqual(live.available, { why: 'Nagad needs NAGAD_FALLBACK_IP.' });
  });
});

describe('money given back', () => {
  const order = {
    reference: 'RFND01',
    amount: paisa(3000),
    reason: 'Asked for: "wrong amount", ভুল টাকা, and a long story that does not fit',
  };
  const by = () => method({ refundApi: true });

  async function paid(): Promise<PaidPayment> {
    const { payment, page } = await opening();
    await choose(page, 'pay');
    const { trxId, paidAt } = await method().ask(payment);
    assert.ok(trxId && paidAt);
    return { ...payment, trxId, paidAt };
  }

  test('is not done by Nagad unless the operator wants it', () => {
    assert.equal(method().refund, undefined);
    assert.equal(method().refundStatus, undefined);
  });

  test('is done once verify shows it, and once', async () => {
    const payment = await paid();
    assert.equal((await by().refundStatus?.(payment, order))?.state, 'unknown');
    const done = await by().refund?.(payment, order);
    assert.equal(done?.state, 'refunded', JSON.stringify(done));
    assert.match(done?.providerRefundId ?? '', /^[A-Z0-9]{8}$/);
    assert.equal(
      (await by().refundStatus?.(payment, order))?.providerRefundId,
      done?.providerRefundId,
    );
    const again = await by().refund?.(payment, { ...order, reference: 'RFND02' });
    assert.deepEqual([again?.state, again?.providerRefundId], ['refused', null]);
  });

  for (const [fault, state] of [
    ['firewall', 'unknown'],
    ['error', 'unknown'],
    ['silent', 'refunded'],
    ['truncated', 'refunded'],
    ['tampered', 'refunded'],
  ] as const)
    test(`is ${state} after ${fault}, by what verify shows`, async () => {
      const payment = await paid();
      standIn.faults.answers.cancel = fault;
      const truth = await by().refund?.(payment, order);
      assert.equal(truth?.state, state, JSON.stringify(truth));
      assert.equal(truth?.evidence.operation, 'cancel');
    });

  test('is refused before anything is sent where Nagad does not show the payment as paid', async () => {
    const payment = await paid();
    standIn.faults.answers.verify = 'firewall';
    assert.equal((await by().refund?.(payment, order))?.state, 'refused');
    standIn.faults.answers.verify = undefined;
    for (const wrong of [
      { amount: '1' },
      { orderId: 'X1' },
      { merchantId: '680000000000002' },
      { status: 'Failed' },
    ]) {
      standIn.faults.wrong = wrong;
      assert.equal((await by().refund?.(payment, order))?.state, 'refused');
    }
    standIn.faults.wrong = {};
    assert.equal((await by().refundStatus?.(payment, order))?.state, 'unknown');
  });
});
