/** Sending money by hand: what a payer may hand in, and what comes of it without an admin, which is nothing. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../config.ts';
import { SettingError } from '../setting.ts';
import {
  approvalsNeeded,
  manual,
  manualAccounts,
  manualClaim,
  manualInstructions,
  manualTrxId,
  reviewedTruth,
} from './manual.ts';
import type { Payer, PaymentFacts } from './method.ts';
import { paisa } from './taka.ts';

const payment: PaymentFacts = {
  id: '00000000-0000-4000-8000-000000000001',
  invoice: 'TOP01J8ZK3',
  amount: paisa(50_000),
  providerId: null,
  nonce: null,
  captureAsked: false,
  createdAt: new Date(0),
};
const payer: Payer = { reference: 'u', name: '', email: '', address: null, mobile: false };
const list = 'bkash:send_money:01712345678:Send Money only: no Cash Out; nagad:payment:01812345678';
const accounts = manualAccounts(list);

function accountsOf(text: string) {
  return manualAccounts(loadConfig({ MANUAL_PAYMENTS: text }, []).manualPayments);
}

test('the setting is read, checked, and off by default', () => {
  assert.deepEqual(accountsOf(''), []);
  assert.deepEqual(accountsOf(list), [
    {
      ...{ wallet: 'bkash', kind: 'send_money', number: '01712345678' },
      note: 'Send Money only: no Cash Out',
    },
    { wallet: 'nagad', kind: 'payment', number: '01812345678', note: '' },
  ]);
  assert.deepEqual(
    accountsOf('rocket:cash_out:01912345678;').map(({ kind }) => kind),
    ['cash_out'],
  );
  for (const wrong of [
    'bkash',
    'bkash:send_money:1712345678',
    'bkash:send_money:01212345678',
    'upay:send_money:01712345678',
    'bkash:gift:01712345678',
    'bkash:send_money:01712345678,nagad:payment:01812345678',
    'bkash:send_money:01712345678 nagad:payment:01812345678',
  ])
    assert.throws(() => accountsOf(wrong), SettingError, wrong);
});

test('it is off without a number to send to', () => {
  const method = (some: typeof accounts) => manual({ accounts: some });
  assert.deepEqual(method([]).available, { why: 'MANUAL_PAYMENTS is not set.' });
  assert.equal(method(accounts).available, true);
});

test('it opens our own page and never says paid', async () => {
  const method = manual({ accounts });
  const none = { callback: 'https://shop.example/return/1', cancel: '', webhook: '' };
  const opened = await method.open(payment, payer, none);
  assert.equal(opened.redirectUrl, none.callback);
  assert.equal(opened.providerId, payment.invoice);
  const truth = await method.ask({ ...payment, providerId: opened.providerId });
  assert.deepEqual([truth.state, truth.amount, truth.trxId], ['pending', null, null]);
  assert.equal(method.claimOf(new URLSearchParams('status=success')).claims, 'unknown');
  assert.equal(method.webhook, undefined);
});

test('a payer is told what to send, how and where', () => {
  const [first, second] = manualInstructions(accounts, paisa(50_050));
  assert.deepEqual(
    [first?.wallet, first?.way, first?.number, first?.taka, first?.note],
    ['bKash', 'Send Money', '01712345678', '500.50', 'Send Money only: no Cash Out'],
  );
  assert.match(
    second?.english ?? '',
    /Nagad app choose Payment, send exactly ৳500\.50 to 01812345678/,
  );
  assert.match(second?.bangla ?? '', /নগদ অ্যাপে পেমেন্ট .* 01812345678 নম্বরে ঠিক ৳500\.50/);
});

test('a TrxID is told from a slip of the pen', () => {
  for (const [wallet, text, trxId] of [
    ['bkash', ' ck250nroq5\n', 'CK250NROQ5'],
    ['bkash', 'CK25 0NRO Q5', 'CK250NROQ5'],
    ['nagad', '74xwhy1q', '74XWHY1Q'],
    ['rocket', '১২৩৪৫৬৭৮৯০', '1234567890'],
    ['bkash', '\u200bCK250NROQ5', 'CK250NROQ5'],
  ] as const)
    assert.deepEqual(manualTrxId(wallet, text), { trxId }, text);
  for (const [wallet, text, why] of [
    ['bkash', 'CK250NROQ', /10 letters and digits/],
    ['bkash', 'CK250NRO-5', /10 letters/],
    ['bkash', 'СK250NROQ5', /10 letters/], // A Cyrillic letter looks the same.
    ['nagad', '6+69456', /8 letters/],
    ['rocket', 'CK250NROQ5', /10 digits/],
    ['nagad', '  ', /Enter the TrxID/],
  ] as const) {
    const read = manualTrxId(wallet, text);
    assert.match('why' in read ? read.why : '', why, text);
  }
});

test('a claim names a wallet of ours, a TrxID and the sender', () => {
  const claim = (wallet: string, trxId: string, sender: string) =>
    manualClaim(accounts, wallet, trxId, sender);
  const trxId = 'BKASH:CK250NROQ5';
  assert.deepEqual(claim('bkash', 'ck250nroq5', '+8801619-777283'), {
    ...{ wallet: 'bkash', trxId, sender: '01619777283' },
  });
  assert.deepEqual(claim('bkash', 'ck250nroq5', ' ৭২৮৩ '), {
    ...{ wallet: 'bkash', trxId, sender: '7283' },
  });
  assert.deepEqual(claim('bkash', 'ck250nroq5', ''), { wallet: 'bkash', trxId, sender: null });
  for (const wrong of [
    claim('rocket', '1234567890', ''),
    claim('bkash', '123', ''),
    claim('bkash', 'ck250nroq5', '123'),
    claim('bkash', 'ck250nroq5', '016*******3'),
  ])
    assert.ok('why' in wrong, JSON.stringify(wrong));
});

test('what is credited is what an admin saw, not what was claimed', () => {
  const claim = manualClaim(accounts, 'bkash', 'CK250NROQ5', '01619777283');
  assert.ok('trxId' in claim);
  const receivedAt = new Date(1000);
  const truth = reviewedTruth(payment, { claim, received: paisa(49_000), receivedAt });
  assert.deepEqual(
    [truth.state, truth.amount, truth.trxId, truth.paidAt],
    ['paid', 49_000, 'BKASH:CK250NROQ5', receivedAt],
  );
  assert.ok(!JSON.stringify(truth.evidence).includes('01619777283'));
  assert.equal(approvalsNeeded(paisa(500_000), paisa(500_000)), 2);
  assert.equal(approvalsNeeded(paisa(499_999), paisa(500_000)), 1);
  assert.equal(approvalsNeeded(paisa(10_000_000), null), 1);
});
