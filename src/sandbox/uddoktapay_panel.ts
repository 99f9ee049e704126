/** What the stand-in of UddoktaPay knows: its payments, its switches, and what its operator does in the panel. */

import { randomBytes, randomInt } from 'node:crypto';
import { isObject, type Json } from './request.ts';

export const panelWallets = ['bkash', 'nagad', 'rocket'] as const;
export type PanelWallet = (typeof panelWallets)[number];

type PanelStatus = 'INITIATED' | 'PENDING' | 'COMPLETED' | 'FAILED';

export interface PanelPayment {
  /** 40 hexadecimal digits, the last part of the address to pay at. */
  readonly token: string;
  /** 20 letters and digits; told to nobody before the payer comes back. */
  readonly invoiceId: string;
  readonly fullName: string;
  readonly email: string;
  readonly metadata: Json;
  readonly redirectUrl: string;
  readonly returnType: 'GET' | 'POST';
  readonly cancelUrl: string;
  readonly webhookUrl: string | null;
  /** In paisa, as the fee on top of it. */
  amount: number;
  fee: number;
  status: PanelStatus;
  wallet: PanelWallet;
  sender: string;
  trxId: string;
  /** When the payer paid or handed in a TrxID. */
  at: Date;
  /** Of refunds that moved money; paisa. */
  refunded: number;
  /** How each webhook was received: an HTTP status, or `no answer`. */
  readonly ipns: string[];
}

export const operations = ['checkout-v2', 'verify-payment', 'refund-payment'] as const;
export type Operation = (typeof operations)[number];

/** Every switch with what it may be set to, the usual first. */
export const switches = {
  /** What becomes of an answer, after the call was carried out; `wrong_status` only has another HTTP status, `none` leaves the caller waiting. */
  answer: ['right', 'html', 'error_500', 'wrong_status', 'truncated', 'cut', 'none'],
  /** Which calls `answer` is for. */
  of: ['all', ...operations],
  verify: [
    'right',
    'bare_error',
    'error_with_data',
    'lower_case',
    'new_word',
    'no_metadata',
    'metadata_as_text',
    'no_trx_id',
    'other_invoice',
    'number_amount',
  ],
  /** How a webhook is sent when a payment changes. */
  ipn: ['once', 'twice', 'forged', 'no_header', 'off'],
  /** Whether a TrxID that no message has confirmed waits for approval, or is not found. */
  unmatched: ['pending', 'not_found'],
  /** What a refund does: the wallet moves money, only the record changes, or the wallet cannot. */
  refund: ['gateway', 'manual', 'not_supported'],
  /** The brand's currency, which no answer names. */
  currency: ['BDT', 'USD'],
  /** The panel's own charge, on top of the amount. */
  fee: ['none', 'fixed_10', 'percent_2'],
  /** What the key may not do. */
  forbidden: ['nothing', ...operations],
} as const;

export type UddoktapayFaults = {
  -readonly [Name in keyof typeof switches]: (typeof switches)[Name][number];
} & {
  /** The TrxID of every payment from now on, to have one twice; empty: each has its own. */
  trxId: string;
};

export function usualFaults(): UddoktapayFaults {
  return {
    answer: 'right',
    of: 'all',
    verify: 'right',
    ipn: 'once',
    unmatched: 'pending',
    refund: 'gateway',
    currency: 'BDT',
    fee: 'none',
    forbidden: 'nothing',
    trxId: '',
  };
}

function randomText(length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

const digits = '0123456789';
const capitals = 'ABCDEFGHJKLMNPQRSTUVWXYZ';

/** A TrxID as the wallet writes it. */
function newTrxId(wallet: PanelWallet): string {
  if (wallet === 'rocket') return randomText(10, digits);
  return capitals[randomInt(24)] + randomText(wallet === 'bkash' ? 9 : 7, capitals + digits);
}

/** In taka with two decimals: 50000 → "500.00". */
export function taka(amount: number): string {
  const text = String(amount).padStart(3, '0');
  return `${text.slice(0, -2)}.${text.slice(-2)}`;
}

/** A positive amount with up to two decimals, text or number, as paisa; null for anything else. */
export function paisaIn(value: unknown): number | null {
  const match = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(String(value));
  const amount = match ? Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0')) : 0;
  return amount > 0 ? amount : null;
}

export class Panel {
  readonly faults = usualFaults();
  readonly payments = new Map<string, PanelPayment>();
  readonly #key: string;
  readonly #closing = new AbortController();

  constructor(key: string) {
    this.#key = key;
  }

  /** @param fields as they came, already found good @param amount in paisa */
  add(fields: Json, amount: number): PanelPayment {
    const { fee } = this.faults;
    const payment: PanelPayment = {
      token: randomBytes(20).toString('hex'),
      invoiceId: randomText(20, capitals + capitals.toLowerCase() + digits),
      fullName: String(fields.full_name),
      email: String(fields.email),
      metadata: isObject(fields.metadata) ? fields.metadata : {},
      redirectUrl: String(fields.redirect_url),
      returnType: fields.return_type === 'GET' ? 'GET' : 'POST',
      cancelUrl: String(fields.cancel_url),
      webhookUrl: typeof fields.webhook_url === 'string' ? fields.webhook_url : null,
      amount,
      fee: fee === 'fixed_10' ? 1000 : fee === 'percent_2' ? Math.ceil(amount / 50) : 0,
      status: 'INITIATED',
      wallet: 'bkash',
      sender: '',
      trxId: '',
      at: new Date(),
      refunded: 0,
      ipns: [],
    };
    this.payments.set(payment.token, payment);
    return payment;
  }

  /** One that a payer has paid or handed in a TrxID for. */
  byInvoice(invoiceId: unknown): PanelPayment | undefined {
    return [...this.payments.values()].find(
      (payment) => payment.invoiceId === invoiceId && payment.status !== 'INITIATED',
    );
  }

  byTransfer(trxId: unknown, wallet: unknown): PanelPayment | undefined {
    return [...this.payments.values()].find(
      (payment) =>
        payment.trxId === trxId && payment.wallet === wallet && payment.status !== 'INITIATED',
    );
  }

  /**
   * The payer's part.
   * @param trxId as typed; empty for one that the wallet gives and its message confirms
   * @returns why it did not go, for the payer, or null
   */
  submit(
    payment: PanelPayment,
    status: 'PENDING' | 'COMPLETED' | 'FAILED',
    by: { readonly wallet: PanelWallet; readonly sender: string; readonly trxId: string },
  ): string | null {
    if (payment.status !== 'INITIATED') return null;
    const trxId = this.faults.trxId || by.trxId.trim().toUpperCase();
    if (status === 'PENDING' && !trxId) return 'Enter the TrxID.';
    if (!this.faults.trxId && this.byTransfer(trxId, by.wallet))
      return 'This transaction has been used already.';
    if (status === 'PENDING' && this.faults.unmatched === 'not_found')
      return 'Transaction not found.';
    payment.wallet = by.wallet;
    payment.sender = by.sender.trim() || '01770618575';
    payment.trxId = trxId || newTrxId(by.wallet);
    payment.at = new Date();
    this.#become(payment, status);
    return null;
  }

  /** The operator's part: what waits for approval is approved or rejected. */
  decide(payment: PanelPayment, status: 'COMPLETED' | 'FAILED'): void {
    if (payment.status === 'PENDING') this.#become(payment, status);
  }

  #become(payment: PanelPayment, status: PanelStatus): void {
    payment.status = status;
    void this.notify(payment, this.faults.ipn);
  }

  /** @param how a switch for this one time; `off` sends nothing */
  async notify(payment: PanelPayment, how: UddoktapayFaults['ipn']): Promise<void> {
    const { webhookUrl } = payment;
    if (how === 'off' || webhookUrl === null || payment.status === 'INITIATED') return;
    const key = how === 'no_header' ? null : how === 'forged' ? 'a-wrong-key' : this.#key;
    const send = async (): Promise<void> => {
      const said = await fetch(webhookUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(key === null ? {} : { 'RT-UDDOKTAPAY-API-KEY': key }),
        },
        body: JSON.stringify(verified(payment)),
        redirect: 'manual',
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(10_000)]),
      }).then(
        ({ status }) => String(status),
        () => 'no answer',
      );
      payment.ipns.push(said);
    };
    await Promise.all(how === 'twice' ? [send(), send()] : [send()]);
  }

  close(): void {
    this.#closing.abort();
  }
}

/** The answer to verify-payment, which is the body of a webhook, too. The date has no zone; ours is that of Dhaka. */
export function verified(payment: PanelPayment): Record<string, unknown> {
  return {
    full_name: payment.fullName,
    email: payment.email,
    amount: taka(payment.amount),
    fee: taka(payment.fee),
    charged_amount: taka(payment.amount + payment.fee),
    invoice_id: payment.invoiceId,
    metadata: payment.metadata,
    payment_method: payment.wallet,
    sender_number: payment.sender,
    transaction_id: payment.trxId,
    date: new Date(payment.at.getTime() + 6 * 3_600_000)
      .toISOString()
      .slice(0, 19)
      .replace('T', ' '),
    status: payment.status,
  };
}
