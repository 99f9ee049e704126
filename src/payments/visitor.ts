/** A payment as its page shows it: to whoever has the secret in its address. */
import { ApiError } from '../errors.ts';
import { handIn } from './claims.ts';
import { type Desk, methodOf } from './desk.ts';
import {
  type ManualAccount,
  type ManualInstruction,
  manualClaim,
  manualInstructions,
} from './manual.ts';
import { type Payment, paymentByToken } from './payment.ts';

export interface PaymentView {
  readonly payment: Payment;
  /** `bKash`, as the method is called. */
  readonly methodName: string;
  /** Where to send money by hand; empty for other methods. */
  readonly instructions: readonly ManualInstruction[];
}

/** Null where no payment has this secret. */
export async function viewPayment(
  desk: Desk,
  accounts: readonly ManualAccount[],
  token: string,
): Promise<PaymentView | null> {
  const payment = await paymentByToken(desk.sql, token);
  if (!payment) return null;
  return {
    payment,
    methodName: methodOf(desk, payment.method).name,
    instructions: payment.method === 'manual' ? manualInstructions(accounts, payment.amount) : [],
  };
}

/** Hands in a TrxID for a payment by hand. Returns what is wrong with it, for the payer; null where nothing is. */
export async function handInBy(
  desk: Desk,
  accounts: readonly ManualAccount[],
  { payment }: PaymentView,
  given: { readonly wallet: string; readonly trxId: string; readonly sender: string },
): Promise<string | null> {
  const claim = manualClaim(accounts, given.wallet, given.trxId, given.sender);
  if ('why' in claim) return claim.why;
  try {
    await handIn(desk, payment.userId, payment.id, claim);
    return null;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}
