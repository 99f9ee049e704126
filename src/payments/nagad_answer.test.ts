/** How Nagad's words, and those of browsers, are read. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimOf, truthIn } from './nagad_answer.ts';

/** An answer to verify as integrators have published it. */
const shown = {
  merchantId: '680000000000001',
  orderId: 'TOP1',
  paymentRefId: 'MDIx',
  amount: '100',
  clientMobileNo: '016****9707',
  issuerPaymentDateTime: '2026-02-14 12:31:04.0',
  issuerPaymentRefNo: '74xwhy1q ',
  status: 'Success',
  statusCode: '000',
  cancelIssuerRefNo: null,
};

function truthOf(changed: Record<string, unknown>, status = 200) {
  const body = { ...shown, ...changed };
  const evidence = { operation: 'verify', httpStatus: status, ms: 1, code: null, body };
  return truthIn({ status, body, evidence }, shown.merchantId);
}

describe("Nagad's words", () => {
  test('of a published success', () => {
    const { evidence, ...truth } = truthOf({});
    assert.deepEqual(truth, {
      state: 'paid',
      providerId: 'MDIx',
      invoice: 'TOP1',
      amount: 10_000,
      currency: null,
      trxId: '74XWHY1Q',
      payer: '016****9707',
      paidAt: new Date('2026-02-14T06:31:04Z'),
      foreign: null,
      reason: null,
    });
  });

  const table: readonly [state: string, hasReason: boolean, changed: Record<string, unknown>][] = [
    ['cancelled', true, { status: 'Aborted' }],
    ['cancelled', true, { status: 'Cancelled' }],
    ['failed', true, { status: 'Failed', statusCode: '50_0026_851' }],
    ['pending', false, { status: 'OrderInitiated' }],
    ['pending', false, { status: 'Initiated' }],
    ['pending', false, { status: 'Ready' }],
    ['pending', false, { status: 'InProgress' }],
    ['pending', true, { status: 'success' }],
    ['pending', true, { status: 'constructor' }],
    ['pending', true, { statusCode: '00' }],
    ['pending', true, { statusCode: null }],
    ['pending', true, { statusCode: 0 }],
    ['pending', true, { cancelIssuerRefNo: 'AB12CD34' }],
    ['unknown', true, { status: '' }],
    ['unknown', true, { status: true }],
    ['unknown', true, { amount: '100.001' }],
    ['unknown', true, { amount: null }],
    ['unknown', true, { issuerPaymentRefNo: null }],
    ['unknown', true, { issuerPaymentRefNo: "'; --" }],
    ['unknown', true, { merchantId: undefined }],
    ['unknown', true, { orderId: 5 }],
    ['unknown', true, { paymentRefId: null }],
    ['paid', false, { amount: '100.00' }],
    ['paid', false, { amount: 100 }],
    ['paid', false, { cancelIssuerRefNo: undefined }],
  ];
  for (const [state, hasReason, changed] of table)
    test(`${JSON.stringify(changed)} → ${state}`, () => {
      const truth = truthOf(changed);
      assert.deepEqual(
        [truth.state, truth.reason !== null],
        [state, hasReason],
        truth.reason ?? '',
      );
    });

  test('are nothing with an HTTP error', () => assert.equal(truthOf({}, 500).state, 'unknown'));

  test('as browsers bring them', () => {
    const claims = (query: string) => claimOf(new URLSearchParams(query));
    assert.deepEqual(claims('?merchant=1&payment_ref_id=MDIx%3D%3D&status=Success'), {
      claims: 'paid',
      providerId: 'MDIx==',
      nonce: null,
    });
    assert.equal(claims('merchant=1&payment_ref_id=a+b/c==&status=Failed').providerId, 'a+b/c==');
    assert.deepEqual(claims('status=Cancelled'), {
      claims: 'cancelled',
      providerId: null,
      nonce: null,
    });
    assert.equal(claims('status=Aborted/').claims, 'cancelled');
    for (const query of ['', 'status=constructor', 'status=success', 'status='])
      assert.equal(claims(query).claims, 'unknown', query);
  });
});
