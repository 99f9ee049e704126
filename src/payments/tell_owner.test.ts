/** The owner of a payment is written to once about each thing that they must know, if and only if it happened. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import type { Payment } from './payment.ts';
import { settle } from './settle.ts';
import { tellOwner } from './tell_owner.ts';

const scene = await openPaymentsScene({ changed: tellOwner(() => 'https://a.example') });
const { desk, provider, owner } = scene;
after(() => scene[Symbol.asyncDispose]());

interface Mail {
  readonly subject: string;
  readonly plain: string;
  readonly language: string;
}

async function mailsAbout(payment: Payment): Promise<Mail[]> {
  const mails = await owner<
    Mail[]
  >`SELECT subject, plain, language FROM mails WHERE key LIKE ${`payment:${payment.id}:%`} ORDER BY id`;
  return [...mails];
}

async function agreed(language = 'en'): Promise<Payment> {
  const user = await scene.user();
  await owner`UPDATE users SET language = ${language} WHERE id = ${user}`;
  const payment = await scene.begin(user);
  provider.authorise(payment);
  return payment;
}

test('a credited payment brings one receipt, however often it is settled', async () => {
  const payment = await agreed();
  await Promise.all(Array.from({ length: 10 }, () => settle(desk, payment.id, success)));
  await settle(desk, payment.id, success);
  const [mail, ...more] = await mailsAbout(payment);
  assert.deepEqual(more, []);
  assert.equal(mail?.subject, '[Sandbox] Receipt: your top-up of ৳500.00');
  assert.match(mail.plain, /Added to the wallet: \$4\.098360655/);
  assert.ok(mail.plain.includes(`https://a.example/api/topups/${payment.id}/receipt.pdf`));
});

test('it is written in the language of the account', async () => {
  const payment = await agreed('bn');
  await settle(desk, payment.id, success);
  const [mail] = await mailsAbout(payment);
  assert.equal(mail?.language, 'bn');
  assert.match(mail.plain, /ওয়ালেটে যোগ হয়েছে: \$4\.098360655/);
});

test('one that a person must look at is told of, one that was only cancelled is not', async () => {
  const payment = await agreed();
  provider.say = (truth) => ({ ...truth, currency: 'USD' });
  try {
    assert.equal((await settle(desk, payment.id, success)).state, 'needs_review');
  } finally {
    provider.say = (truth) => truth;
  }
  const [mail] = await mailsAbout(payment);
  assert.match(mail?.subject ?? '', /is being looked at/);
  assert.doesNotMatch(mail?.plain ?? '', /currency/);
  const cancelled = await scene.begin(await scene.user());
  const claim = { claims: 'cancelled', providerId: null, nonce: null } as const;
  assert.equal((await settle(desk, cancelled.id, { actor: 'browser', claim })).state, 'cancelled');
  assert.deepEqual(await mailsAbout(cancelled), []);
});

test('without the change there is no mail: they are one transaction', async () => {
  const payment = await agreed();
  const broken = {
    ...desk,
    changed: async (...told: Parameters<typeof desk.changed>) => {
      await desk.changed(...told);
      throw new Error('the process died');
    },
  };
  await assert.rejects(settle(broken, payment.id, success), /died/);
  assert.deepEqual(await mailsAbout(payment), []);
  await settle(desk, payment.id, success);
  assert.equal((await mailsAbout(payment)).length, 1);
});
