/**
 * Sending money by hand: the payer sends taka to a number of the operator's and hands in the TrxID, and an admin who has
 * looked into that wallet says what came in. Off unless numbers are set: a personal wallet that is used for business breaks
 * the wallets' terms and may be frozen. There is no provider to ask, and nothing here is ever believed without an admin.
 */
import {
  bareTruth,
  type Evidence,
  type Opened,
  type Paisa,
  type PaymentFacts,
  type PaymentMethod,
  type Truth,
} from './method.ts';
import { maskedNumber, nationalNumber } from './msisdn.ts';
import { formatTaka, paisa } from './taka.ts';
import { trxIdOf } from './trx_id.ts';

export const manualWallets = ['bkash', 'nagad', 'rocket'] as const;
export type ManualWallet = (typeof manualWallets)[number];

/** As the wallets' apps name them: to a personal, an agent's and a merchant's number. */
export const manualKinds = ['send_money', 'cash_out', 'payment'] as const;
export type ManualKind = (typeof manualKinds)[number];

/** A number to send to. */
export interface ManualAccount {
  readonly wallet: ManualWallet;
  readonly kind: ManualKind;
  /** `01XXXXXXXXX` */
  readonly number: string;
  /** For the payer, in the operator's words; may be empty. */
  readonly note: string;
}

export interface ManualSettings {
  /** None: the method is off. */
  readonly accounts: readonly ManualAccount[];
}

/** Where and how to send a payment, for the page of instructions. */
export interface ManualInstruction {
  /** `bKash`, as people write it. */
  readonly wallet: string;
  /** `Send Money`, as the wallet's app names it. */
  readonly way: string;
  readonly number: string;
  /** `500.00` */
  readonly taka: string;
  readonly note: string;
  readonly english: string;
  readonly bangla: string;
}

/** What a payer hands in. */
export interface ManualClaim {
  readonly wallet: ManualWallet;
  /** `BKASH:CK250NROQ5`, to be unique over all accounts for ever. */
  readonly trxId: string;
  /** The payer's own number, or its last four digits; null where it was not given. */
  readonly sender: string | null;
}

/** What an admin found in the wallet. */
export interface ManualReview {
  readonly claim: ManualClaim;
  /** As typed by the admin from the wallet, never from the claim. */
  readonly received: Paisa;
  readonly receivedAt: Date;
}

const walletNames: Readonly<Record<ManualWallet, readonly [english: string, bangla: string]>> = {
  bkash: ['bKash', 'বিকাশ'],
  nagad: ['Nagad', 'নগদ'],
  rocket: ['Rocket', 'রকেট'],
};
const ways: Readonly<Record<ManualKind, readonly [english: string, bangla: string]>> = {
  send_money: ['Send Money', 'সেন্ড মানি'],
  cash_out: ['Cash Out', 'ক্যাশ আউট'],
  payment: ['Payment', 'পেমেন্ট'],
};

/** What the payer is to do, for each number that takes the money. */
export function manualInstructions(
  accounts: readonly ManualAccount[],
  amount: Paisa,
): ManualInstruction[] {
  return accounts.map(({ wallet, kind, number, note }) => {
    const [name, nameBangla] = walletNames[wallet];
    const [way, wayBangla] = ways[kind];
    const taka = formatTaka(amount);
    return {
      ...{ wallet: name, way, number, taka, note },
      english: `In your ${name} app choose ${way}, send exactly ৳${taka} to ${number}, and hand in the TrxID of the message that follows. What ${name} charges you comes on top.`,
      bangla: `${nameBangla} অ্যাপে ${wayBangla} বেছে নিয়ে ${number} নম্বরে ঠিক ৳${taka} পাঠান, তারপর ফিরতি মেসেজের ট্রানজেকশন আইডি (TrxID) জমা দিন। ${nameBangla}-এর চার্জ আলাদা।`,
    };
  });
}

interface TrxIdForm {
  readonly pattern: RegExp;
  readonly says: string;
}

/** Only a filter for slips of the pen: a TrxID of the right form proves nothing. */
const trxIdForms: Readonly<Record<ManualWallet, TrxIdForm>> = {
  bkash: { pattern: /^[A-Z0-9]{10}$/, says: 'A bKash TrxID has 10 letters and digits.' },
  nagad: { pattern: /^[A-Z0-9]{8}$/, says: 'A Nagad TxnID has 8 letters and digits.' },
  rocket: { pattern: /^\d{10}$/, says: 'A Rocket TxnId has 10 digits.' },
};

const bengaliZero = '০'.charCodeAt(0);

/** Upper case, without spaces, Bengali digits as Latin ones. */
function typed(text: string): string {
  return text
    .replace(/[০-৯]/g, (digit) => String(digit.charCodeAt(0) - bengaliZero))
    .replace(/[\s\u200b-\u200d\ufeff]+/g, '')
    .toUpperCase();
}

/** ` ck250nroq5 ` → `CK250NROQ5`, or a sentence for the payer. */
export function manualTrxId(
  wallet: ManualWallet,
  text: string,
): { readonly trxId: string } | { readonly why: string } {
  const trxId = typed(text);
  const { pattern, says } = trxIdForms[wallet];
  if (trxId === '') return { why: 'Enter the TrxID from the message that your wallet sent.' };
  return pattern.test(trxId) ? { trxId } : { why: says };
}

/**
 * Reads what a payer hands in.
 * @param sender a whole number or its last four digits; empty for none
 * @returns the claim, or a sentence for the payer
 */
export function manualClaim(
  accounts: readonly ManualAccount[],
  wallet: string,
  trxId: string,
  sender: string,
): ManualClaim | { readonly why: string } {
  const account = accounts.find((each) => each.wallet === wallet);
  if (!account) {
    const taken = [...new Set(accounts.map((each) => each.wallet))].join(', ');
    return { why: `Choose the wallet that you sent from: ${taken}.` };
  }
  const read = manualTrxId(account.wallet, trxId);
  if ('why' in read) return read;
  const digits = typed(sender);
  const whole = nationalNumber(digits);
  const number = whole && /^\d+$/.test(whole) ? whole : null;
  if (digits !== '' && !number && !/^\d{4}$/.test(digits))
    return {
      why: 'Enter the number that you sent from, such as 01712345678, or its last 4 digits.',
    };
  return {
    wallet: account.wallet,
    trxId: trxIdOf(account.wallet, read.trxId),
    sender: number ?? (digits || null),
  };
}

/** How many admins must approve. @param twoFrom received amounts from here on need two; null: one is always enough */
export function approvalsNeeded(received: Paisa, twoFrom: Paisa | null): 1 | 2 {
  return twoFrom !== null && received >= twoFrom ? 2 : 1;
}

/** What an admin found, in the form of a provider's word, so that it is compared and credited as any other payment. */
export function reviewedTruth(payment: PaymentFacts, review: ManualReview): Truth {
  const { claim, received, receivedAt } = review;
  return {
    state: 'paid',
    providerId: payment.providerId,
    invoice: payment.invoice,
    amount: received,
    currency: 'BDT',
    trxId: claim.trxId,
    payer: claim.sender?.length === 11 ? claim.sender : null,
    paidAt: receivedAt,
    foreign: null,
    reason: null,
    evidence: {
      ...noProvider,
      operation: 'review',
      body: {
        wallet: claim.wallet,
        trx_id: claim.trxId,
        sender: claim.sender?.length === 11 ? maskedNumber(claim.sender) : claim.sender,
        received_paisa: received,
        received_at: receivedAt.toISOString(),
      },
    },
  };
}

/**
 * Reads MANUAL_PAYMENTS: `wallet:kind:number`, then a note after a further colon; accounts are parted by semicolons, as in
 * `bkash:send_money:01712345678:Send Money only;nagad:payment:01812345678`. The settings have checked its form.
 */
export function manualAccounts(list: string): ManualAccount[] {
  return list.split(';').flatMap((entry) => {
    const [wallet, kind, number = '', ...note] = entry.trim().split(':');
    const known = manualWallets.find((each) => each === wallet);
    const way = manualKinds.find((each) => each === kind);
    return known && way ? [{ wallet: known, kind: way, number, note: note.join(':').trim() }] : [];
  });
}

const noProvider: Evidence = {
  operation: 'none',
  httpStatus: null,
  ms: 0,
  code: null,
  body: null,
};

export function manual({ accounts }: ManualSettings): PaymentMethod {
  return {
    id: 'manual',
    name: 'Send Money',
    available: accounts.length > 0 ? true : { why: 'MANUAL_PAYMENTS is not set.' },
    // The wallets' own bounds for one transfer move with the central bank's rules.
    least: paisa(1000),
    most: paisa(2_500_000),
    openForMs: 72 * 3_600_000,
    pollAfterMs: [],
    open: async (payment, _payer, { callback }): Promise<Opened> => ({
      // No provider gives one, and a payment is found by it.
      providerId: payment.invoice,
      // Our own page says where to send the money and takes the TrxID.
      redirectUrl: callback,
      nonce: null,
      evidence: noProvider,
    }),
    claimOf: () => ({ claims: 'unknown', providerId: null, nonce: null }),
    ask: async ({ providerId, invoice }): Promise<Truth> => ({
      ...bareTruth(
        'pending',
        'An admin looks for the money in the wallet that it was sent to.',
        noProvider,
      ),
      ...{ providerId, invoice },
    }),
  };
}
