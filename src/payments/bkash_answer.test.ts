import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { bkashTime, redacted, redactedText } from './bkash_answer.ts';

test('times are of Dhaka, with a colon before the milliseconds, and sometimes without a zone', () => {
  for (const [text, iso] of [
    ['2025-11-02T14:29:02:166 GMT+0600', '2025-11-02T08:29:02.166Z'],
    ['2026-06-13T16:27:25:422', '2026-06-13T10:27:25.422Z'],
    ['2026-06-13T16:27:25', '2026-06-13T10:27:25.000Z'],
    ['2026-06-13T16:27:25.4 GMT+06:00', '2026-06-13T10:27:25.004Z'],
    ['2026-06-13T16:27:25:422 GMT+0000', '2026-06-13T16:27:25.422Z'],
  ] as const)
    assert.equal(bkashTime(text)?.toISOString(), iso);
  for (const text of ['', '2026-13-45T16:27:25:422 GMT+0600', 'yesterday', null])
    assert.equal(bkashTime(text), null);
});

test('what is kept has masked numbers, and neither tokens nor addresses, however deep', () => {
  const answer = {
    id_token: 'abc',
    bkashURL: 'https://sandbox.example/?hash=abc',
    signature: 'k3YOrG8qy6',
    customerMsisdn: '01619777283',
    paymentID: 'TR0011AbC1dEf1762072142166',
    list: [{ debitMSISDN: '8801619777283', note: 'from 01619777283', refresh_token: 'abc' }],
  };
  assert.deepEqual(redacted(answer), {
    id_token: '…',
    bkashURL: '…',
    signature: '…',
    customerMsisdn: '016******83',
    paymentID: 'TR0011AbC1dEf1762072142166',
    list: [{ debitMSISDN: '016******83', note: 'from 016******83', refresh_token: '…' }],
  });
  assert.deepEqual(
    redactedText({ text: `{"id_token":"${'a'.repeat(80)}","customerMsisdn":"01619777283` }),
    { text: '{"id_token":"…","customerMsisdn":"016******83' },
  );
});
