/** A voucher is redeemed as often as its batch says, whoever tries how often at once. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { compiled } from '../../test/compiled.ts';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { ApiError } from '../errors.ts';
import { nano } from '../wallet/money.ts';
import { creditWallet, openWallet, walletBalance } from '../wallet/wallets.ts';
import { refundPayment } from './refund.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';
import { newCode, readCode } from './voucher_code.ts';
import { voucherSheet } from './voucher_sheet.ts';
import {
  createVouchers,
  disableVouchers,
  listBatches,
  redeemVoucher,
  showBatch,
  type VoucherOrder,
} from './vouchers.ts';

const scene = await openPaymentsScene();
const { sql } = scene.desk;
after(() => scene[Symbol.asyncDispose]());

const usual: VoucherOrder = {
  codes: 1,
  value: nano(5_000_000_000),
  uses: 1,
  once: false,
  newerThanDays: null,
  leastPayment: null,
  expiresAt: null,
  note: 'test',
};

async function codes(order: Partial<VoucherOrder> = {}): Promise<{ id: string; codes: string[] }> {
  const made = await createVouchers(sql, 'operator', { ...usual, ...order });
  return { id: made.batch.id, codes: [...made.codes] };
}

async function balanceOf(userId: string): Promise<number> {
  return walletBalance(sql, await openWallet(sql, userId));
}

/** What came of tries: the number that were credited, and the reasons of the others. */
async function outcomes(tries: readonly Promise<unknown>[]): Promise<[number, string[]]> {
  const ended = await Promise.allSettled(tries);
  const refused = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
  const reasons = refused.map((error: unknown) =>
    error instanceof ApiError
      ? `${error.code} ${error.details?.reason ?? ''}`.trim()
      : String(error),
  );
  return [ended.length - refused.length, [...new Set(reasons)]];
}

test('fifty accounts at once: a voucher is redeemed by one of them', async () => {
  const {
    codes: [code = ''],
    id,
  } = await codes();
  const users = await Promise.all(Array.from({ length: 50 }, () => scene.user()));
  const [credited, reasons] = await outcomes(users.map((user) => redeemVoucher(sql, user, code)));
  assert.equal(credited, 1);
  assert.deepEqual(reasons, ['voucher_refused used']);
  const balances = await Promise.all(users.map(balanceOf));
  assert.deepEqual(
    balances.filter((balance) => balance > 0),
    [5_000_000_000],
  );
  assert.deepEqual(
    (await showBatch(sql, id)).codes.map(({ used }) => used),
    [1],
  );
  assert.deepEqual(await scene.lies(), []);
});

test('two processes at once, with accounts of their own, redeem no more than there is', async () => {
  const {
    codes: [code = ''],
    id,
  } = await codes({ uses: 15 });
  const users = await Promise.all(Array.from({ length: 50 }, () => scene.user()));
  const program = join(import.meta.dirname, '..', '..', 'test', 'voucher_process.ts');
  const run = promisify(execFile);
  const ended = await Promise.all(
    [users.slice(0, 25), users.slice(25)].map((some) =>
      run(process.execPath, [program, scene.socket, code, ...some], {
        cwd: tmpdir(),
        env: compiled,
      }),
    ),
  );
  const credited = ended.map(({ stdout }) => Number(stdout));
  assert.equal(
    credited.reduce((sum, count) => sum + count, 0),
    15,
  );
  assert.deepEqual(
    (await showBatch(sql, id)).codes.map(({ used }) => used),
    [15],
  );
  assert.deepEqual(await scene.lies(), []);
});

test('one account fifty times at once, with a code of many uses: credited once', async () => {
  const {
    codes: [code = ''],
  } = await codes({ uses: 100 });
  const user = await scene.user();
  const [credited, reasons] = await outcomes(
    Array.from({ length: 50 }, () => redeemVoucher(sql, user, code)),
  );
  assert.equal(credited, 1);
  assert.deepEqual(reasons, ['voucher_refused repeated']);
  assert.equal(await balanceOf(user), 5_000_000_000);
});

test('a promotion for twenty is redeemed by twenty of fifty', async () => {
  const {
    codes: [code = ''],
  } = await codes({ uses: 20 });
  const users = await Promise.all(Array.from({ length: 50 }, () => scene.user()));
  const [credited] = await outcomes(users.map((user) => redeemVoucher(sql, user, code)));
  assert.equal(credited, 20);
  assert.deepEqual(await scene.lies(), []);
});

test('where an account may redeem one of a batch, two codes at once give one credit; elsewhere both', async () => {
  for (const once of [true, false]) {
    const { codes: some } = await codes({ codes: 10, once });
    const user = await scene.user();
    const [credited] = await outcomes(some.map((code) => redeemVoucher(sql, user, code)));
    assert.equal(credited, once ? 1 : 10);
  }
});

test('a code is refused with its reason', async () => {
  const user = await scene.user();
  const refused = async (order: Partial<VoucherOrder>, reason: string): Promise<void> => {
    const {
      codes: [code = ''],
    } = await codes(order);
    assert.deepEqual(await outcomes([redeemVoucher(sql, user, code)]), [0, [reason]]);
  };
  await refused({ newerThanDays: 30 }, 'voucher_refused account');
  await refused({ leastPayment: paisa(10_000) }, 'voucher_refused payment');
  const soon = await codes({ expiresAt: new Date(Date.now() + 60_000) });
  await scene.owner`UPDATE voucher_batches SET expires_at = now() WHERE id = ${soon.id}`;
  const off = await codes({ codes: 2 });
  await disableVouchers(sql, 'operator', { batch: off.id, number: 2 });
  const tries = [soon.codes[0], off.codes[1], newCode()].map((code = '') =>
    redeemVoucher(sql, user, code),
  );
  assert.deepEqual((await outcomes(tries))[1].sort(), [
    'voucher_refused disabled',
    'voucher_refused expired',
    'voucher_unknown unknown',
  ]);
  await redeemVoucher(sql, user, off.codes[0] ?? '');
  await assert.rejects(codes({ expiresAt: new Date() }), /expired already/);
});

test('a voucher for those who topped up waits until they have', async () => {
  const {
    codes: [code = ''],
  } = await codes({ leastPayment: paisa(50_000) });
  const user = await scene.user();
  await assert.rejects(redeemVoucher(sql, user, code), /at least ৳500.00/);
  const payment = await scene.begin(user, 500);
  scene.provider.authorise(payment);
  await settle(scene.desk, payment.id, success);
  const { balance } = await redeemVoucher(sql, user, code);
  assert.equal(balance, payment.credit + 5_000_000_000);
  const order = { paymentId: payment.id, reason: 'asked for', who: 'a@example.com' };
  for (const amount of [null, paisa(1)])
    await assert.rejects(refundPayment(scene.desk, { ...order, amount }), {
      code: 'payment_conflict',
      message: /^Voucher 1 of batch \S+, of \$5, was redeemed on the strength of this payment/,
    });
  assert.equal(await balanceOf(user), balance);
  await refundPayment(scene.desk, { ...order, amount: null, keepVouchers: true });
  assert.equal(await balanceOf(user), 5_000_000_000);
});

test('a voucher that another top-up bears, or that asks for none, hinders no refund', async () => {
  const [free, bound] = [await codes(), await codes({ leastPayment: paisa(50_000) })];
  const user = await scene.user();
  const paid: string[] = [];
  for (const taka of [500, 600]) {
    const payment = await scene.begin(user, taka);
    scene.provider.authorise(payment);
    await settle(scene.desk, payment.id, success);
    paid.push(payment.id);
  }
  for (const code of [free.codes[0], bound.codes[0]]) await redeemVoucher(sql, user, code ?? '');
  const [one = '', other = ''] = paid;
  const order = { reason: 'asked for', who: 'a@example.com' };
  await refundPayment(scene.desk, { ...order, paymentId: one, amount: null });
  // 600 less 100 still bear it, less 101 do not.
  await refundPayment(scene.desk, { ...order, paymentId: other, amount: paisa(10_000) });
  await assert.rejects(
    refundPayment(scene.desk, { ...order, paymentId: other, amount: paisa(1) }),
    {
      code: 'payment_conflict',
    },
  );
});

test('codes are kept as hashes only, and the batch tells its use', async () => {
  const {
    codes: [code = ''],
    id,
  } = await codes({ codes: 3 });
  const user = await scene.user();
  await redeemVoucher(sql, user, ` ${code.toLowerCase().replaceAll('-', ' ')} `);
  const kept = await scene.owner<
    { text: string }[]
  >`SELECT row_to_json(c)::text AS text FROM voucher_codes c WHERE batch = ${id}`;
  for (const { text } of kept)
    assert.ok(!text.includes(code.replaceAll('-', '')) && !text.includes(code));
  const batch = (await listBatches(sql)).find((known) => known.id === id);
  assert.deepEqual([batch?.redeemed, batch?.credited], [1, 5_000_000_000]);
});

test('a bonus that is for nothing is found where money is real', async () => {
  const user = await scene.user();
  const {
    codes: [code = ''],
  } = await codes({});
  await redeemVoucher(sql, user, code);
  const wallet = await openWallet(sql, user);
  const wrong = async (): Promise<number> => {
    const found = await scene.lies();
    assert.ok(found.every(({ detail }) => /bonus of 5 for no voucher/.test(detail)));
    return found.length;
  };
  await scene.owner`UPDATE installation SET mode = 'live'`;
  try {
    assert.equal(await wrong(), 0);
    await creditWallet(sql, wallet, nano(5), { kind: 'bonus', note: 'forged' });
    assert.equal(await wrong(), 1);
  } finally {
    await scene.owner`UPDATE installation SET mode = 'sandbox'`;
  }
  assert.equal(await wrong(), 0);
});

test('the program cannot write redemptions or uses by itself, and the audit finds who does', async () => {
  const {
    codes: [code = ''],
    id,
  } = await codes({ uses: 5 });
  const { id: redemption } = await redeemVoucher(sql, await scene.user(), code);
  await assert.rejects(
    sql`UPDATE voucher_codes SET used = 0 WHERE batch = ${id}`,
    /permission denied/,
  );
  await assert.rejects(
    sql`UPDATE voucher_batches SET value = 1 WHERE id = ${id}`,
    /permission denied/,
  );
  await assert.rejects(
    sql`INSERT INTO voucher_redemptions SELECT * FROM voucher_redemptions`,
    /permission denied/,
  );
  await assert.rejects(scene.owner`DELETE FROM voucher_redemptions`, /append-only|appended/);
  assert.deepEqual(await scene.lies(), []);
  await scene.owner`UPDATE voucher_codes SET used = 2 WHERE batch = ${id}`;
  await scene.owner`UPDATE voucher_batches SET value = value + 1 WHERE id = ${id}`;
  const found = JSON.stringify(await scene.lies());
  assert.match(found, new RegExp(redemption));
  assert.match(found, /used 2 times of 5; it was redeemed 1 times/);
  await scene.owner`UPDATE voucher_codes SET used = 1 WHERE batch = ${id}`;
  await scene.owner`UPDATE voucher_batches SET value = value - 1 WHERE id = ${id}`;
});

test('one wrong letter, or two that changed places, are seen without asking anybody', () => {
  const code = fc.nat().map(() => readCode(newCode()) ?? '');
  const letters = [...'23456789ABCDEFGHJKMNPQRSTUVWXYZ'];
  fc.assert(
    fc.property(code, fc.nat(19), fc.constantFrom(...letters), (text, at, letter) => {
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      assert.equal(readCode(changed), changed === text ? text : null);
      const next = text.slice(0, at) + (text[at + 1] ?? '') + text[at] + text.slice(at + 2);
      if (at < 18 && next !== text) assert.equal(readCode(next), null);
    }),
  );
  assert.equal(new Set(Array.from({ length: 1000 }, newCode)).size, 1000);
});

test('a sheet has each code once, and nothing of a stranger is markup in it', async () => {
  const { batch, codes: made } = await createVouchers(sql, 'operator', { ...usual, codes: 23 });
  const sheet = voucherSheet(batch, made, { origin: 'https://a.example/<b>', sandbox: true });
  for (const code of made) assert.equal(sheet.split(code).length, 2);
  assert.equal(sheet.split('class="sheet"').length, 4);
  assert.match(sheet, /SANDBOX/);
  assert.ok(!sheet.includes('<b>\n') && !sheet.includes('example/<b>'));
});
