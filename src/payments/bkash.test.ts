import { strict as assert } from 'node:assert';
import { after, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  act,
  addresses,
  type BkashScene,
  BkashStage,
  payAt,
  payer,
  paymentOf,
} from '../../test/bkash_scene.ts';
import { loadConfig } from '../config.ts';
import type { SandboxBkash } from '../sandbox/bkash.ts';
import type { Fault } from '../sandbox/bkash_faults.ts';
import { bkashSettingsOf, whyNoBkash } from './bkash.ts';
import { ProviderRefused, ProviderSilent, type Truth } from './method.ts';

const stage = new BkashStage();
let standIn: SandboxBkash;
let method: BkashScene['method'];
let opened: BkashScene['opened'];
let paid: BkashScene['paid'];

after(() => stage[Symbol.asyncDispose]());

for (const generation of ['v1', 'v2'] as const)
  describe(`bKash ${generation}`, () => {
    beforeEach(async () => {
      ({ standIn, method, opened, paid } = await stage.scene(generation));
    });

    test('opened, confirmed on the page, taken once, asked, searched, notified', async () => {
      const payment = await opened(50_050);
      assert.match(payment.providerId ?? '', /^TR0011\w{6,8}\d{13}$/);
      assert.equal((await method.ask(payment)).state, 'pending');
      const back = await payAt(payment.page, '01619777283');
      assert.ok(back.href.startsWith(`${addresses.callback}&`), back.href);
      assert.deepEqual(method.claimOf(back.searchParams), {
        claims: 'paid',
        providerId: payment.providerId,
        nonce: payment.nonce,
      });
      assert.match(payment.nonce ?? '', /^\w{10}$/);
      assert.equal((await method.ask(payment)).state, 'pending');
      const taken = await method.capture(payment);
      assert.equal(taken.state, 'paid');
      assert.match(taken.trxId ?? '', /^[A-Z][A-Z0-9]{9}$/);
      for (const truth of [taken, await method.ask(payment)]) {
        const { providerId, invoice, amount, currency, trxId, foreign } = truth;
        assert.deepEqual(
          { providerId, invoice, amount, currency, trxId, foreign },
          {
            providerId: payment.providerId,
            invoice: payment.invoice,
            amount: 50_050,
            currency: 'BDT',
            trxId: taken.trxId,
            foreign: null,
          },
        );
        assert.ok(Math.abs((truth.paidAt?.getTime() ?? 0) - Date.now()) < 60_000);
      }
      assert.equal(taken.payer, '01619777283');
      const found = await method.search((taken.trxId ?? '').toLowerCase());
      assert.deepEqual([found.state, found.amount, found.payer], ['paid', 50_050, taken.payer]);
      assert.equal((await method.search('CK250NROQ5')).state, 'unknown');
      assert.equal(standIn.book.total(), 50_050);
      assert.equal(standIn.calls.filter((call) => call === 'grant').length, 1);
    });

    test('what is kept of it holds no token, no address and no whole number', async () => {
      const payment = paymentOf(50_000);
      const first = await method.open(payment, payer, addresses);
      await payAt(first.redirectUrl);
      standIn.faults.add('execute', 'truncated');
      const now = { ...payment, providerId: first.providerId };
      const silent = await method.capture(now);
      const asked = await method.ask(now);
      const found = await method.search(asked.trxId ?? '');
      standIn.faults.add('create', 'truncated');
      const broken = await method.open(paymentOf(100), payer, addresses).catch((error) => error);
      assert.match(JSON.stringify(broken.evidence), /bkashURL/);
      const kept = JSON.stringify([
        broken.evidence,
        first.evidence,
        silent.evidence,
        asked.evidence,
        found,
      ]);
      assert.equal(silent.state, 'unknown');
      assert.doesNotMatch(kept.replaceAll(`"payer":"01770618575"`, ''), /01770618575/);
      assert.doesNotMatch(kept, /secret-of-the-payment|hash=|[\w.-]{60}/);
      assert.match(JSON.stringify(found.evidence), /017\*{6}75/);
    });

    test('success that was only claimed takes nothing; cancel and failure are claims, too', async () => {
      const payment = await opened();
      const forged = await method.capture(payment);
      assert.deepEqual([forged.state, forged.evidence.code], ['unknown', '2056']);
      assert.equal((await method.ask(payment)).state, 'pending');
      for (const [name, claims] of [
        ['cancel', 'cancelled'],
        ['fail', 'failed'],
      ] as const) {
        const { to } = await act((await opened()).page, name);
        assert.equal(method.claimOf(to?.searchParams ?? new URLSearchParams()).claims, claims);
      }
      assert.equal(method.claimOf(new URLSearchParams('status=toString')).claims, 'unknown');
      assert.equal((await method.ask(paymentOf(1, { providerId: 'TR0011x' }))).state, 'unknown');
      assert.equal((await method.ask(paymentOf(1))).state, 'unknown');
      assert.equal(standIn.book.total(), 0);
    });

    test('wallets without money or blocked lead back as failures, and pay nothing', async () => {
      for (const wallet of ['01823074817', '01823074818']) {
        const payment = await opened();
        const back = await payAt(payment.page, wallet);
        assert.equal(method.claimOf(back.searchParams).claims, 'failed');
        assert.equal((await method.ask(payment)).state, 'pending');
      }
    });

    test('taken, although nobody heard of it: asked, it is paid', async () => {
      for (const fault of ['lost', 'truncated'] as const) {
        const payment = await opened(fault === 'lost' ? 10_000 : 20_000);
        await payAt(payment.page);
        standIn.faults.add('execute', fault);
        assert.equal((await method.capture(payment)).state, 'unknown');
        assert.equal((await method.ask(payment)).state, 'paid');
      }
      assert.equal(standIn.calls.filter((call) => call === 'execute').length, 2);
    });

    test('not taken, and nobody says so: asked, it is pending', async () => {
      for (const fault of ['silent', 'html', 'maintenance'] as const) {
        const payment = await opened();
        await payAt(payment.page);
        standIn.faults.add('execute', fault);
        assert.equal((await method.capture(payment)).state, 'unknown');
        assert.equal((await method.ask(payment)).state, 'pending');
      }
      assert.equal(standIn.book.total(), 0);
      assert.equal(standIn.calls.filter((call) => call === 'execute').length, 3);
    });

    test('a code that says what may have happened decides nothing; one that is certain is asked about', async () => {
      for (const code of ['2062', '2117', '2068', '2119', '503', '9999', '4711']) {
        const payment = await opened();
        standIn.faults.add('execute', { code });
        const truth = await method.capture(payment);
        assert.deepEqual([truth.state, truth.evidence.code], ['unknown', code]);
      }
      const poor = await opened();
      standIn.faults.add('execute', { code: '2023' });
      const refused = await method.capture(poor);
      assert.deepEqual([refused.state, refused.evidence.code], ['failed', '2023']);
      assert.match(refused.reason ?? '', /not enough money/);
      const done = await paid();
      standIn.faults.add('execute', { code: '2023' });
      assert.equal((await method.capture(done)).state, 'paid');
      standIn.faults.add('execute', { code: '2023' });
      standIn.faults.add('query', 'silent');
      assert.equal((await method.capture(done)).state, 'unknown');
    });

    test('the same amount so soon again is refused with the advice to wait; a second execute is not a second payment', async () => {
      const first = await paid();
      const second = await opened();
      await payAt(second.page);
      const truth = await method.capture(second);
      assert.deepEqual([truth.state, truth.evidence.code], ['failed', '2029']);
      assert.match(truth.reason ?? '', /wait 5 minutes/);
      for (const code of ['2062', '2117'] as const) {
        standIn.switches.secondExecute = code;
        const again = await method.capture(first);
        assert.deepEqual([again.state, again.evidence.code], ['unknown', code]);
      }
      assert.equal(standIn.book.total(), 50_000);
    });

    test('a refused token is renewed once and the call repeated once', async () => {
      const payment = await opened();
      await payAt(payment.page);
      standIn.faults.add('execute', 'unauthorised');
      assert.equal((await method.capture(payment)).state, 'paid');
      assert.deepEqual(standIn.calls.slice(-3), ['execute', 'refresh', 'execute']);
      standIn.faults.add('query', 'unauthorised', 5);
      const asked = await method.ask(payment);
      assert.equal(asked.state, 'unknown');
      assert.match(asked.reason ?? '', /not available until/);
      assert.equal(standIn.calls.filter((call) => call === 'query').length, 1);
      // Nothing opens without a token, and it says when it will again.
      standIn.faults.add('create', 'unauthorised');
      const closed = method.open(paymentOf(100), payer, addresses);
      await assert.rejects(closed, (error) => {
        assert.ok(error instanceof ProviderRefused);
        assert.match(error.message, /not available until \d\d:\d\d/);
        return true;
      });
    });

    test('opening is refused with a sentence for people, or bKash is silent', async () => {
      standIn.faults.add('create', { code: '2006' });
      await assert.rejects(opened(), ProviderRefused);
      standIn.faults.add('create', { code: '503' });
      await assert.rejects(opened(), /not available at the moment/);
      const faults: readonly Fault[] = [
        'silent',
        'html',
        'truncated',
        { change: { amount: '5.00' } },
        { change: { merchantInvoiceNumber: 'OTHER' } },
        { change: { bkashURL: 'javascript:alert(1)' } },
        { change: { paymentID: '', paymentId: '' } },
      ];
      for (const fault of faults) {
        standIn.faults.add('create', fault);
        await assert.rejects(opened(), ProviderSilent, JSON.stringify(fault));
      }
    });

    test('what another payment would say is passed on as it is, and of other intents it says foreign', async () => {
      const payment = await paid();
      const asked = async (change: Record<string, unknown>): Promise<Truth> => {
        standIn.faults.add('query', { change });
        return method.ask(payment);
      };
      assert.equal((await asked({ amount: '5000.00' })).amount, 500_000);
      assert.equal((await asked({ merchantInvoice: 'OTHER' })).invoice, 'OTHER');
      assert.equal((await asked({ currency: 'USD' })).currency, 'USD');
      assert.match((await asked({ intent: 'authorization' })).foreign ?? '', /not a sale/);
      assert.match((await asked({ mode: '9999' })).foreign ?? '', /mode/);
      assert.equal((await asked({ transactionStatus: 'Expired' })).state, 'failed');
      assert.equal((await asked({ transactionStatus: 'Cancelled' })).state, 'cancelled');
      assert.equal((await asked({ transactionStatus: 'Pending Authorized' })).state, 'authorised');
      for (const change of [
        { transactionStatus: 'Sunny' },
        { transactionStatus: 'toString' },
        { transactionStatus: null },
        { amount: 'many' },
        { trxID: '', trxId: '' },
      ])
        assert.equal((await asked(change)).state, 'unknown', JSON.stringify(change));
    });

    test('a payment of yesterday is over, at the page, at execute and when asked', async () => {
      const payment = await opened();
      await payAt(payment.page);
      standIn.switches.aheadMs = 25 * 3_600_000;
      standIn.faults.add('execute', 'unauthorised');
      assert.equal((await method.capture(payment)).state, 'unknown');
      assert.equal((await method.ask(payment)).state, 'failed');
      assert.match((await act(payment.page, 'next')).html, /time to confirm this payment is over/);
    });

    test('a notification of the stand-in is believed and names the invoice', async () => {
      standIn.switches.notifications = 'held';
      const payment = await paid();
      const [envelope] = standIn.sns.held;
      const hint = await method.webhook(JSON.stringify(envelope), new Headers());
      assert.equal(hint?.invoice, payment.invoice);
      assert.equal(hint?.receipt?.trxId, payment.trxId);
      assert.equal(
        await method.webhook(JSON.stringify({ ...envelope, Message: '{}' }), new Headers()),
        null,
      );
    });

    test('whatever is answered in whatever order, nothing is called paid that did not move', async () => {
      standIn.switches.tokenLimit = false;
      standIn.switches.duplicateMs = 0;
      const said = fc.oneof(
        fc.constantFrom<Fault>('silent', 'maintenance', 'html', 'lost', 'truncated', { ms: 1 }),
        fc.constantFrom('2023', '2029', '2056', '2062', '9999', '0000').map((code) => ({ code })),
      );
      const step = fc.record({
        does: fc.constantFrom('confirm', 'cancel', 'capture', 'ask'),
        fault: fc.option(said),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 1, maxLength: 6 }),
          fc.integer({ min: 1, max: 99_999 }),
          async (steps, amount) => {
            standIn.faults.clear();
            const payment = await opened(amount);
            for (const { does, fault } of steps) {
              if (does === 'confirm') await act(payment.page, 'confirm_and_close');
              if (does === 'cancel') await act(payment.page, 'cancel');
              if (does !== 'capture' && does !== 'ask') continue;
              if (fault) standIn.faults.add(does === 'ask' ? 'query' : 'execute', fault);
              const truth = await (does === 'ask' ? method.ask(payment) : method.capture(payment));
              const own = standIn.book.payments.get(payment.providerId ?? '');
              if (truth.state === 'paid')
                assert.deepEqual([truth.amount, truth.trxId], [own?.amount, own?.trxId ?? 'none']);
              if (own?.trxId) assert.ok(['paid', 'unknown'].includes(truth.state), truth.state);
            }
          },
        ),
        { numRuns: 40 },
      );
    });
  });

test('play money and real money do not meet', () => {
  const live = { baseUrl: 'https://tokenized.pay.bka.sh/v1.2.0-beta', generation: 'v1' } as const;
  const own = { username: 'u', password: 'p', appKey: 'k', appSecret: 's' };
  const why = (mode: 'sandbox' | 'live', baseUrl: string): string | null =>
    whyNoBkash({ mode, access: { ...live, ...own, baseUrl } });
  assert.equal(why('live', live.baseUrl), null);
  assert.match(why('live', 'https://tokenized.sandbox.bka.sh/v2') ?? '', /MODE is live/);
  assert.match(why('live', 'http://127.0.0.1:4000/v2') ?? '', /MODE is live/);
  assert.match(why('live', 'http://tokenized.pay.bka.sh/v2') ?? '', /https/);
  assert.match(why('sandbox', live.baseUrl) ?? '', /not bKash's sandbox/);
  assert.equal(why('sandbox', 'https://tokenized.sandbox.bka.sh/v2'), null);
  assert.equal(why('sandbox', 'http://127.0.0.1:4000/v2'), null);
  const settings = bkashSettingsOf(loadConfig({ MODE: 'live', BKASH_USERNAME: 'u' }, []), null);
  assert.match(
    whyNoBkash(settings) ?? '',
    /^BKASH_BASE_URL, BKASH_PASSWORD, BKASH_APP_KEY, BKASH_APP_SECRET must be set\.$/,
  );
});
