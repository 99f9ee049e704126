/** A process that pays and refunds, with its provider in another one, so that a test can kill it: `payments_process.ts SOCKET PROVIDER USER`. */
import { connect } from '../src/db/connection.ts';
import { createPayment } from '../src/payments/create.ts';
import type { Desk } from '../src/payments/desk.ts';
import type { PaymentMethod } from '../src/payments/method.ts';
import { refundPayment } from '../src/payments/refund.ts';
import { settle } from '../src/payments/settle.ts';
import { paisa } from '../src/payments/taka.ts';

const [, , path = '', provider = '', userId = ''] = process.argv;

async function ask<T>(operation: string, ...given: unknown[]): Promise<T> {
  const response = await fetch(`${provider}/${operation}`, {
    method: 'POST',
    body: JSON.stringify(given),
  });
  const answer: unknown = JSON.parse(await response.text(), (name, value) =>
    name === 'paidAt' && value ? new Date(value) : value,
  );
  return answer as T; // as: the test's provider answers in the form that it is asked for
}

const method: PaymentMethod = {
  id: 'bkash',
  name: 'bKash',
  available: true,
  least: paisa(100),
  most: paisa(10_000_000),
  openForMs: 86_400_000,
  pollAfterMs: [0],
  open: (facts) => ask('open', facts),
  claimOf: () => ({ claims: 'unknown', providerId: null, nonce: null }),
  ask: (facts) => ask('ask', facts),
  capture: (facts) => ask('capture', facts),
  refund: (payment, order) => ask('refund', payment, order),
  refundStatus: (payment, order) => ask('refundStatus', payment, order),
};

const desk: Desk = {
  sql: connect({ path }, { max: 2, name: 'test payments', role: 'akai_app' }),
  mode: 'sandbox',
  methods: new Map([['bkash', method]]),
  secret: 's'.repeat(40),
  origin: () => 'http://127.0.0.1:3000',
  usualRate: '122.00',
  log: () => {},
  changed: async () => {},
};

const payment = await createPayment(desk, {
  userId,
  method: 'bkash',
  wish: { paisa: paisa(50_000) },
  payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false },
  clientKey: null,
});
await ask('authorise', payment.id);
const claim = { claims: 'paid', providerId: null, nonce: null } as const;
await settle(desk, payment.id, { actor: 'browser', claim });
await refundPayment(desk, {
  paymentId: payment.id,
  amount: paisa(20_000),
  reason: 'asked for',
  who: 'admin@example.com',
});
await desk.sql.end();
