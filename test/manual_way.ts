/** Sending money by hand, with the handles of the other ways to pay: the provider is a wallet of the operator's, and the admin who looks into it. */
import assert from 'node:assert/strict';
import { ApiError } from '../src/errors.ts';
import { bareTrxId, handIn } from '../src/payments/claims.ts';
import type { Desk } from '../src/payments/desk.ts';
import { manual, manualAccounts, manualClaim } from '../src/payments/manual.ts';
import { type Payment, paymentByToken } from '../src/payments/payment.ts';
import { acceptPayment, rejectPayment } from '../src/payments/review.ts';
import type { Way } from './payment_ways.ts';

const who = 'admin@example.com';

/** An admin looks into the wallet for what was handed in last. @param came amounts by TrxID */
async function review(
  desk: Desk,
  { id: paymentId, state }: Payment,
  came: ReadonlyMap<string, Payment['amount']>,
): Promise<void> {
  if (state !== 'needs_review') return;
  const claims = await desk.sql<{ trxId: string }[]>`
    SELECT trx_id AS "trxId" FROM payment_claims WHERE payment = ${paymentId} ORDER BY created_at DESC`;
  const trxId = claims[0]?.trxId ?? assert.fail('nothing was handed in');
  const received = came.get(bareTrxId(trxId));
  if (received === undefined)
    await rejectPayment(desk, { paymentId, reason: 'No such money came in.', who });
  else await acceptPayment(desk, { paymentId, received, trxId, receivedAt: null, who });
}

/** @param desk of the process that runs now */
export async function manualWay(desk: () => Desk): Promise<Way> {
  const accounts = manualAccounts('bkash:send_money:01712345678:Send Money only');
  /** What came into the wallet, by TrxID. */
  const came = new Map<string, Payment['amount']>();
  /** TrxIDs of what was sent, by the page that asked for it. */
  const sent = new Map<string, string>();
  let count = 0;
  /** Every transfer has it from now on. */
  let repeated: string | null = null;
  const payFor = async (page: string): Promise<Payment> => {
    const token = new URL(page).pathname.split('/').at(-1) ?? '';
    return (await paymentByToken(desk().sql, token)) ?? assert.fail(`${page} is of no payment`);
  };
  const newTrxId = (): string => {
    count += 1;
    return repeated ?? `CK25${String(count).padStart(6, '0')}`;
  };
  /** The payer comes back with the TrxID; who was told no comes back without. */
  const tell = async (page: string, trxId: string): Promise<URL> => {
    const { id, userId } = await payFor(page);
    const claim = manualClaim(accounts, 'bkash', trxId, '');
    assert.ok('trxId' in claim);
    await handIn(desk(), userId, id, claim).catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
    return new URL(`${page}?trx_id=${trxId}`);
  };
  const send = async (page: string): Promise<string> => {
    const trxId = sent.get(page) ?? newTrxId();
    sent.set(page, trxId);
    came.set(trxId, (await payFor(page)).amount);
    return trxId;
  };
  return {
    name: 'Send Money',
    id: 'manual',
    captures: false,
    heals: 'the payer comes later',
    cancelsElsewhere: true,
    method: () => manual({ accounts }),
    pay: async (page) => tell(page, await send(page)),
    payAndClose: send,
    cancel: async (page) => new URL(page.replace('/return/', '/cancel/')),
    // Nothing was sent.
    fail: (page) => tell(page, newTrxId()),
    forged: (_claims, id) => `?trx_id=${id ?? 'CK25FORGED'}&status=success`,
    idIn: ({ searchParams }) => searchParams.get('trx_id'),
    review: (payment) => review(desk(), payment, came),
    mute: () => {},
    cutOff: () => {},
    lies: [],
    repeatTransfer: ({ trxId }) => {
      repeated = trxId && bareTrxId(trxId);
    },
    notify: () => {},
    age: () => {},
    mend: () => {
      repeated = null;
    },
    close: async () => {},
  };
}
