/** Automatic top-ups: charged when the balance is below, within their bounds, once, whoever looks; stopped when they fail. */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { nano } from '../wallet/money.ts';
import { creditWallet, openWallet, walletBalance } from '../wallet/wallets.ts';
import {
  agreementOf,
  concludeAgreement,
  endAgreement,
  openAgreement,
  tendAgreements,
} from './agreements.ts';
import { type AutoTopupRule, autoTopupOf, chargeDue, setAutoTopup } from './auto_topup.ts';
import { createPayment } from './create.ts';
import { reconcileOnce } from './reconcile.ts';
import { settle } from './settle.ts';
import { paisa } from './taka.ts';
import { tellOwner } from './tell_owner.ts';

const scene = await openPaymentsScene({ changed: tellOwner(() => 'https://a.example') });
const { desk, provider, owner } = scene;
const { sql } = desk;
after(() => scene[Symbol.asyncDispose]());
beforeEach(async () => {
  await owner`DELETE FROM auto_topups`;
  Object.assign(provider, { agrees: true, solvent: true, cancels: true, before: async () => {} });
});

const payer = { name: 'Rahim', email: 'r@example.com', address: null, mobile: false };
const usual: AutoTopupRule = {
  threshold: nano(2_000_000_000),
  amount: paisa(50_000),
  perDay: 3,
  perMonth: paisa(500_000),
};
/** ৳500 at ৳122 a dollar. */
const credit = 4_098_360_655;

function tokenIn(seen: readonly string[]): string {
  return seen.at(-1)?.split('/').at(-1) ?? '';
}

/** Addresses that the provider was told to send browsers back to. */
const callbacks: string[] = [];
const agreements = provider.method.agreements;
assert.ok(agreements);
const { open } = agreements;
Object.assign(agreements, {
  open: (...given: Parameters<typeof open>) => {
    callbacks.push(given[2].callback);
    return open(...given);
  },
});

async function agreed(): Promise<string> {
  const user = await scene.user();
  await openAgreement(desk, user, 'bkash', payer);
  await concludeAgreement(desk, 'bkash', tokenIn(callbacks));
  return user;
}

async function ruled(rule: Partial<AutoTopupRule> = {}): Promise<string> {
  const user = await agreed();
  await setAutoTopup(desk, user, { ...usual, ...rule });
  return user;
}

async function balanceOf(user: string): Promise<number> {
  return walletBalance(sql, await openWallet(sql, user));
}

/** What it has goes away. */
async function empty(user: string): Promise<void> {
  const wallet = await openWallet(sql, user);
  const balance = await walletBalance(sql, wallet);
  if (balance > 0)
    await owner`SELECT ledger_debit(gen_random_uuid(), 'bonus', ${wallet}, 'promotion', ${balance}, 'spent')`;
}

async function hurry(): Promise<void> {
  await owner`UPDATE auto_topups SET next_at = now()`;
}

/** Some time is over, and it is looked again. */
async function again(): Promise<void> {
  await hurry();
  await chargeDue(desk);
}

test('an agreement is made on the provider’s page, and sealed', async () => {
  const user = await scene.user();
  const opened = await openAgreement(desk, user, 'bkash', payer);
  assert.equal(opened.state, 'pending');
  assert.match(opened.redirectUrl ?? '', /agree/);
  provider.agrees = false;
  assert.equal((await concludeAgreement(desk, 'bkash', tokenIn(callbacks)))?.state, 'pending');
  provider.agrees = true;
  const both = await Promise.all(
    [1, 2, 3].map(() => concludeAgreement(desk, 'bkash', tokenIn(callbacks))),
  );
  assert.deepEqual(
    both.map((one) => one?.state),
    ['active', 'active', 'active'],
  );
  assert.equal((await agreementOf(desk, user))?.payerShown, '017******75');
  await assert.rejects(openAgreement(desk, user, 'bkash', payer), /already/);
  assert.equal(await concludeAgreement(desk, 'bkash', 'nonsense'), null);
  const rows =
    await owner`SELECT encode(agreement, 'escape') AS sealed, request_id FROM payment_agreements WHERE user_id = ${user}`;
  assert.doesNotMatch(JSON.stringify(rows), /TOKEN|AG/);
});

test('a process that dies while an agreement is concluded leaves it to others; one that nobody came back from ends', async () => {
  const [came, closed] = [await scene.user(), await scene.user()];
  await openAgreement(desk, closed, 'bkash', payer);
  await openAgreement(desk, came, 'bkash', payer);
  provider.before = async () => {
    throw new Error('the process ended');
  };
  await assert.rejects(concludeAgreement(desk, 'bkash', tokenIn(callbacks)), /ended/);
  provider.before = async () => {};
  await tendAgreements(desk);
  assert.equal((await agreementOf(desk, came))?.state, 'pending', 'not at once');
  await owner`UPDATE payment_agreements SET ask_at = now() WHERE ask_at IS NOT NULL`;
  await tendAgreements(desk);
  assert.equal((await agreementOf(desk, came))?.state, 'active');
  // Its payer may have agreed, and be somebody else: without who asked for it nothing is concluded.
  assert.equal((await agreementOf(desk, closed))?.state, 'pending');
  await owner`UPDATE payment_agreements SET created_at = now() - interval '25 hours' WHERE user_id IN (${came}, ${closed})`;
  await tendAgreements(desk);
  const over = await agreementOf(desk, closed);
  assert.deepEqual([over?.state, over?.reason], ['failed', 'It was not agreed to in time.']);
  assert.equal((await agreementOf(desk, came))?.state, 'active');
});

test('of two agreements that are agreed to, one stays and the other is ended', async () => {
  const user = await scene.user();
  await openAgreement(desk, user, 'bkash', payer);
  const first = tokenIn(callbacks);
  await openAgreement(desk, user, 'bkash', payer);
  const ended = provider.ended.length;
  await concludeAgreement(desk, 'bkash', first);
  await concludeAgreement(desk, 'bkash', tokenIn(callbacks));
  assert.equal((await agreementOf(desk, user))?.state, 'active');
  assert.equal(provider.ended.length, ended + 1);
});

test('below the threshold it is charged once, although five look at once', async () => {
  const user = await ruled();
  await Promise.all(Array.from({ length: 5 }, () => chargeDue(desk)));
  assert.equal(await balanceOf(user), credit);
  await again();
  assert.equal(await balanceOf(user), credit, 'it is above the threshold now');
  const [payment] = await owner`SELECT cause, state FROM payments WHERE user_id = ${user}`;
  assert.deepEqual({ ...payment }, { cause: 'automatic', state: 'credited' });
  const kept = await owner`
    SELECT p.*, e.detail FROM payments p JOIN payment_events e ON e.payment = p.id WHERE p.user_id = ${user}`;
  assert.doesNotMatch(JSON.stringify(kept), /TOKENAG/);
  assert.deepEqual(await scene.lies(), []);
});

test('one that two processes try at the same time, whatever they claimed, is begun once', async () => {
  const user = await ruled();
  let waiting = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  provider.before = async (operation) => {
    if (operation !== 'charge') return;
    waiting += 1;
    await promise;
  };
  const first = chargeDue(desk);
  await until('the provider was asked', () => waiting > 0);
  // The claim of the first is over, as if it had slept for minutes.
  await again();
  assert.equal(waiting, 1);
  resolve();
  await first;
  assert.equal(await balanceOf(user), credit);
  assert.equal((await owner`SELECT 1 FROM payments WHERE user_id = ${user}`).length, 1);
});

test('a day and a month have their most', async () => {
  const user = await ruled({ perDay: 2 });
  for (let times = 0; times < 4; times += 1) {
    await again();
    await empty(user);
  }
  const count = async (): Promise<number> =>
    (await owner`SELECT 1 FROM payments WHERE user_id = ${user}`).length;
  assert.equal(await count(), 2);
  await setAutoTopup(desk, user, { ...usual, perDay: 24, perMonth: paisa(150_000) });
  for (let times = 0; times < 4; times += 1) {
    await again();
    await empty(user);
  }
  assert.equal(await count(), 3, '৳1500 a month are three of ৳500');
});

test('three failures in a row stop it, later each time, and its owner is told once', async () => {
  const user = await ruled();
  provider.solvent = false;
  const waits: number[] = [];
  for (let times = 0; times < 5; times += 1) {
    await again();
    const [row] = await owner<{ wait: number }[]>`
      SELECT round(extract(epoch FROM next_at - now()) / 60)::int AS wait FROM auto_topups WHERE user_id = ${user}`;
    waits.push(row?.wait ?? 0);
  }
  assert.deepEqual(waits.slice(0, 2), [10, 60]);
  assert.match((await autoTopupOf(desk, user))?.stoppedReason ?? '', /Three payments/);
  assert.equal((await owner`SELECT 1 FROM payments WHERE user_id = ${user}`).length, 3);
  const mails =
    await owner`SELECT 1 FROM mails m JOIN users u ON u.email = m.recipient WHERE u.id = ${user} AND subject LIKE '%stopped%'`;
  assert.equal(mails.length, 1);
  provider.solvent = true;
  await again();
  assert.equal(await balanceOf(user), 0);
  await setAutoTopup(desk, user, usual);
  await again();
  assert.equal(await balanceOf(user), credit);
});

test('one that goes well makes the failures before it count no more', async () => {
  const user = await ruled({ perDay: 24 });
  for (const solvent of [false, false, true, false, false]) {
    provider.solvent = solvent;
    await again();
    await empty(user);
  }
  assert.equal((await autoTopupOf(desk, user))?.stoppedAt, null);
});

test('an answer that is lost is not charged again: the payment is asked about', async () => {
  const user = await ruled();
  provider.say = (truth) => ({
    ...truth,
    state: 'unknown',
    trxId: null,
    amount: null,
    invoice: null,
  });
  try {
    await again();
    await again();
  } finally {
    provider.say = (truth) => truth;
  }
  const rows = await owner<
    { id: string; state: string }[]
  >`SELECT id, state FROM payments WHERE user_id = ${user}`;
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['pending'],
  );
});

test('an agreement that its owner ends is charged no more, even before the provider confirms', async () => {
  const user = await ruled();
  provider.cancels = false;
  assert.equal((await endAgreement(desk, user)).state, 'ending');
  await again();
  assert.equal(await balanceOf(user), 0);
  provider.cancels = true;
  await tendAgreements(desk);
  assert.equal(
    (await agreementOf(desk, user))?.state,
    'ending',
    'the provider is not asked at once again',
  );
  await owner`UPDATE payment_agreements SET ask_at = now() WHERE user_id = ${user} AND state = 'ending'`;
  await tendAgreements(desk);
  assert.equal((await agreementOf(desk, user))?.state, 'ended');
  await assert.rejects(endAgreement(desk, user), /no agreement/);
  await assert.rejects(setAutoTopup(desk, user, usual), /no agreement/);
});

test('an amount that could not be paid is not accepted, and a rich wallet is left alone', async () => {
  const user = await agreed();
  await assert.rejects(setAutoTopup(desk, user, { ...usual, amount: paisa(100) }), /from ৳50/);
  await assert.rejects(setAutoTopup(desk, user, { ...usual, perMonth: paisa(100) }), /month/);
  await creditWallet(sql, await openWallet(sql, user), nano(2_000_000_000), {
    kind: 'topup',
    note: 'test',
  });
  await setAutoTopup(desk, user, usual);
  await again();
  assert.equal(await balanceOf(user), 2_000_000_000);
  await setAutoTopup(desk, user, null);
  assert.equal(await autoTopupOf(desk, user), null);
});

test('a process that slept over a payment does not charge it after it was given up, since another may have been charged in its place', async () => {
  const user = await ruled();
  const slept = await createPayment(desk, {
    userId: user,
    method: 'bkash',
    wish: { paisa: usual.amount },
    payer,
    clientKey: null,
    automatic: { agreement: 'TOKENAG1', stillDue: async () => true },
  });
  const clock = Date.now;
  Date.now = () => clock() + 200_000;
  try {
    await owner`UPDATE payments SET ask_at = now() WHERE id = ${slept.id}`;
    await reconcileOnce(desk);
  } finally {
    Date.now = clock;
  }
  await again();
  assert.equal(await balanceOf(user), credit);
  // It awakes, and goes on with what it began.
  const claim = { claims: 'paid', providerId: slept.providerId, nonce: null } as const;
  assert.equal((await settle(desk, slept.id, { actor: 'server', claim })).state, 'failed');
  assert.equal(provider.accounts.get(slept.providerId ?? '')?.captures, 0);
  assert.equal(await balanceOf(user), credit);
});
