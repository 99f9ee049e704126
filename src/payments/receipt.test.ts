/** The receipt of a payment says what was paid and credited, in two languages, and is the same whenever it is made. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { openPaymentsScene, success } from '../../test/payments_scene.ts';
import { timeOrderedId } from '../ids.ts';
import { type PaymentRecord, paymentRecord, receiptText } from './receipt.ts';
import { receiptPdf } from './receipt_pdf.ts';
import { settle } from './settle.ts';

const scene = await openPaymentsScene();
after(() => scene[Symbol.asyncDispose]());
const seller = { name: 'Akai Ltd.', address: 'Dhanmondi, ঢাকা', bin: '001234567-0101' };

async function credited(): Promise<PaymentRecord> {
  const payment = await scene.begin(await scene.user());
  scene.provider.authorise(payment);
  await settle(scene.desk, payment.id, success);
  const record = await paymentRecord(scene.desk.sql, payment.id);
  assert.ok(record);
  return record;
}
const record = await credited();

test('it says what was paid, by whom, and what was credited', async () => {
  const { invoice, trxId, payerShown } = record.payment;
  const text = receiptText(record, 'en');
  assert.equal(text.watermark, 'SANDBOX – NO REAL MONEY');
  assert.deepEqual(
    text.facts.filter(([label]) => label !== 'Date').map(([, value]) => value),
    [invoice, record.email, 'bKash', trxId, payerShown],
  );
  assert.match(payerShown ?? '', /^017\*+\d\d$/);
  assert.deepEqual(text.amounts, [
    ['Paid', '৳500.00'],
    ['Rate: taka for one US dollar', '৳122.00'],
    ['Credit', '$4.098360655'],
  ]);
  assert.deepEqual(text.total, ['Added to the wallet', '$4.098360655']);
  assert.equal(receiptText(record, 'bn').title, 'রসিদ');
  assert.equal(await paymentRecord(scene.desk.sql, timeOrderedId()), null);
  assert.equal(await paymentRecord(scene.desk.sql, 'nonsense'), null);
});

test('dates are those of Dhaka; fee, bonus and refunds are named where there are any', () => {
  const creditedAt = new Date('2026-11-23T18:30:00Z');
  const refund = { reference: 'RFDABCDEFGH', amount: record.payment.fee, createdAt: creditedAt };
  const payment = {
    ...record.payment,
    creditedAt,
    fee: record.payment.amount,
    bonus: record.payment.credit,
  };
  const refunds = [
    { ...refund, state: 'refunded' },
    { ...refund, state: 'asked' },
  ] as const;
  const text = receiptText({ ...record, payment, refunds }, 'en');
  assert.equal(new Map(text.facts).get('Date'), '24 November 2026 at 00:30');
  assert.deepEqual(
    text.amounts.map(([label]) => label),
    ['Paid', 'Fee, kept of it', 'Rate: taka for one US dollar', 'Credit', 'Bonus'],
  );
  assert.equal(text.total[1], '$8.19672131');
  assert.deepEqual(
    text.refunds.map(([label]) => label),
    [
      'Given back, 24 November 2026 at 00:30 (RFDABCDEFGH)',
      'Being given back, 24 November 2026 at 00:30 (RFDABCDEFGH)',
    ],
  );
});

/** The text that a reader of the PDF would copy: its fonts say which letters their glyphs stand for. */
function mapped(pdf: Buffer): string {
  const streams = [...pdf.toString('latin1').matchAll(/stream\n([\s\S]*?)\nendstream/g)];
  return streams
    .flatMap(([, body = '']) => {
      try {
        return [inflateSync(Buffer.from(body, 'latin1')).toString('latin1')];
      } catch {
        return [];
      }
    })
    .filter((content) => content.includes('beginbfrange') || content.includes('beginbfchar'))
    .join('\n')
    .toLowerCase();
}

test('the PDF is one page, the same bytes each time, and writes Bangla as conjuncts', async () => {
  const [first, again, english] = await Promise.all([
    receiptPdf(record, 'bn', seller),
    receiptPdf(record, 'bn', seller),
    receiptPdf(record, 'en', seller),
  ]);
  assert.ok(first.equals(again));
  assert.ok(!first.equals(english));
  assert.equal(first.toString('latin1').match(/\/Type \/Page\b(?!s)/g)?.length, 1);
  // One glyph for the three letters of ক্স in স্যান্ডবক্স: they were shaped, not set one by one.
  assert.match(mapped(first), /<0995 09cd 09b8>/);
  assert.doesNotMatch(mapped(english), /<0995 09cd 09b8>/);
});
