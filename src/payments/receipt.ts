/** What the receipt of a payment says, in the language of its owner: lines of text, for the PDF and for mail. */

import type { Statements } from '../db/database.ts';
import { isUuid } from '../ids.ts';
import { formatUsd, nano } from '../wallet/money.ts';
import type { MethodId, Paisa } from './method.ts';
import { findPayment, type Payment } from './payment.ts';
import { formatRate, formatTaka } from './taka.ts';

export type Language = 'en' | 'bn';

/** Who sells: an empty text is left out. */
export interface Seller {
  readonly name: string;
  readonly address: string;
  /** Business identification number of the tax authority of Bangladesh. */
  readonly bin: string;
}

interface Refund {
  readonly reference: string;
  readonly amount: Paisa;
  readonly state: 'reserved' | 'asked' | 'refunded' | 'needs_review';
  readonly createdAt: Date;
}

/** A payment that was credited, and what belongs to it. */
export interface PaymentRecord {
  readonly payment: Payment;
  readonly refunds: readonly Refund[];
  readonly email: string;
  readonly language: Language;
}

/** As receipts and statements say it. */
const methodNames: Readonly<Record<MethodId, string>> = {
  bkash: 'bKash',
  nagad: 'Nagad',
  uddoktapay: 'UddoktaPay',
  manual: 'Send Money',
};

/** Null where there is no such payment. */
export async function paymentRecord(sql: Statements, id: string): Promise<PaymentRecord | null> {
  const payment = isUuid(id) ? await findPayment(sql, id) : null;
  if (!payment) return null;
  const [owner] = await sql<{ email: string; language: Language }[]>`
    SELECT email, language FROM users WHERE id = ${payment.userId}`;
  if (!owner) throw new Error(`payment ${id} has no owner`);
  const refunds = await sql<Refund[]>`
    SELECT reference, amount, state, created_at AS "createdAt" FROM payment_refunds
    WHERE payment = ${id} AND state <> 'refused' ORDER BY id`;
  return { payment, refunds, ...owner };
}

const english = {
  title: 'Receipt',
  sandbox: 'SANDBOX – NO REAL MONEY',
  number: 'Receipt number',
  date: 'Date',
  account: 'Account',
  method: 'Paid by',
  trx: 'Transaction (TrxID)',
  payer: 'Paid from',
  paid: 'Paid',
  fee: 'Fee, kept of it',
  rate: 'Rate: taka for one US dollar',
  credit: 'Credit',
  bonus: 'Bonus',
  total: 'Added to the wallet',
  refunded: 'Given back',
  underWay: 'Being given back',
  bin: 'BIN',
  closing:
    'Prepaid credit for AI services. Dates are in the time of Dhaka. This receipt was made by a computer and is valid without a signature.',
};

const bangla: typeof english = {
  title: 'রসিদ',
  sandbox: 'স্যান্ডবক্স – আসল টাকা নয়',
  number: 'রসিদ নম্বর',
  date: 'তারিখ',
  account: 'অ্যাকাউন্ট',
  method: 'পরিশোধের মাধ্যম',
  trx: 'লেনদেন নম্বর (TrxID)',
  payer: 'প্রদানকারীর নম্বর',
  paid: 'পরিশোধিত',
  fee: 'এর মধ্যে ফি',
  rate: 'রূপান্তর হার: এক মার্কিন ডলারে টাকা',
  credit: 'ক্রেডিট',
  bonus: 'বোনাস',
  total: 'ওয়ালেটে যোগ হয়েছে',
  refunded: 'ফেরত দেওয়া হয়েছে',
  underWay: 'ফেরত প্রক্রিয়াধীন',
  bin: 'বিআইএন',
  closing: 'এআই সেবার জন্য অগ্রিম ক্রেডিট। সময় ঢাকার। এই রসিদ কম্পিউটারে তৈরি, স্বাক্ষর ছাড়াই বৈধ।',
};

export interface ReceiptText {
  readonly title: string;
  /** Across the page; null where it is real money. */
  readonly watermark: string | null;
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly amounts: readonly (readonly [label: string, value: string])[];
  /** The sum, to be set apart. */
  readonly total: readonly [label: string, value: string];
  readonly refunds: readonly (readonly [label: string, value: string])[];
  readonly binLabel: string;
  readonly closing: string;
}

export function receiptText(record: PaymentRecord, language: Language): ReceiptText {
  const { payment, refunds, email } = record;
  const words = language === 'bn' ? bangla : english;
  // Figures are the same in both languages, so that they can be compared with the message of the wallet.
  const dates = new Intl.DateTimeFormat(language === 'bn' ? 'bn-BD-u-nu-latn' : 'en-GB', {
    dateStyle: 'long',
    timeStyle: 'short',
    hourCycle: 'h23',
    timeZone: 'Asia/Dhaka',
  });
  const taka = (amount: Paisa): string => `৳${formatTaka(amount)}`;
  const { creditedAt, trxId, payerShown, amount, fee, rate, credit, bonus } = payment;
  const facts: [string, string | null][] = [
    [words.number, payment.invoice],
    [words.date, creditedAt && dates.format(creditedAt)],
    [words.account, email],
    [words.method, methodNames[payment.method]],
    [words.trx, trxId],
    [words.payer, payerShown],
  ];
  const amounts: [string, string | null][] = [
    [words.paid, taka(amount)],
    [words.fee, fee > 0 ? taka(fee) : null],
    [words.rate, `৳${formatRate(rate)}`],
    [words.credit, `$${formatUsd(credit)}`],
    [words.bonus, bonus > 0 ? `$${formatUsd(bonus)}` : null],
  ];
  return {
    title: words.title,
    watermark: payment.environment === 'sandbox' ? words.sandbox : null,
    facts: known(facts),
    amounts: known(amounts),
    total: [words.total, `$${formatUsd(nano(credit + bonus))}`],
    refunds: refunds.map(({ state, createdAt, amount: back, reference }) => [
      `${state === 'refunded' ? words.refunded : words.underWay}, ${dates.format(createdAt)} (${reference})`,
      taka(back),
    ]),
    binLabel: words.bin,
    closing: words.closing,
  };
}

function known(lines: readonly [string, string | null][]): [string, string][] {
  return lines.filter((line): line is [string, string] => line[1] !== null);
}
