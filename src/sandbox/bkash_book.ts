/** What the stand-in for bKash knows: payments, agreements, refunds, and the rules by which they move. No input or output. */
import { randomBytes, randomInt } from 'node:crypto';
import { bkashMessages } from './bkash_messages.ts';

/** Wallets that bKash's public sandbox has, and what happens to them. */
export const payingWallets: readonly string[] = [
  '01770618575',
  '01929918378',
  '01770618576',
  '01877722345',
  '01619777282',
  '01619777283',
];
export const emptyWallet = '01823074817';
export const blockedWallet = '01823074818';

const openForMs = 24 * 3_600_000;
const day = 86_400_000;
const mostRefunds = 10;
const mostText = 255;

/** Where nobody outside bKash knows its behaviour, or where it differs: as a test wants it. */
export interface BkashSwitches {
  /** Blocks who asks for a token a third time within an hour. */
  tokenLimit: boolean;
  tokenSeconds: number;
  secondExecute: '2062' | '2117';
  /** Whether a payment may be executed after an execute came too early. */
  executeAfterRefusal: boolean;
  /** Same wallet and amount within so long: 2029; ms. */
  duplicateMs: number;
  refundDuplicateMs: number;
  refundDays: number;
  v2ErrorStatus: 400 | 200;
  /** Whether a payment by agreement waits for the PIN. */
  agreementNeedsPin: boolean;
  /** Which notifications leave: all at once, none until they are released, none at all. */
  notifications: 'sent' | 'held' | 'off';
  /** Sets the clock of the stand-in ahead; ms. */
  aheadMs: number;
}

export const usualSwitches: Readonly<BkashSwitches> = {
  tokenLimit: true,
  tokenSeconds: 3600,
  secondExecute: '2062',
  executeAfterRefusal: true,
  duplicateMs: 120_000,
  refundDuplicateMs: 600_000,
  refundDays: 60,
  v2ErrorStatus: 400,
  agreementNeedsPin: false,
  notifications: 'sent',
  aheadMs: 0,
};

/** What bKash refuses with a code. */
export class BkashRefusal extends Error {
  readonly code: string;
  constructor(code: string) {
    super(bkashMessages[code]?.[1] ?? 'System error.');
    this.code = code;
  }
}

/** What the gateway in front of bKash refuses, without a code. */
export class SchemaRefusal extends Error {}

interface Refund {
  readonly trxId: string;
  /** Paisa. */
  readonly amount: number;
  readonly at: number;
  readonly sku: string;
}

export interface StandInPayment {
  readonly id: string;
  /** 0011 payment, 0000 making an agreement, 0001 payment by one. */
  readonly mode: string;
  readonly invoice: string;
  /** Paisa; 0 for an agreement. */
  readonly amount: number;
  /** As it was sent. */
  readonly amountText: string;
  readonly reference: string;
  readonly callback: string;
  readonly createdAt: number;
  readonly hash: string;
  readonly signature: string;
  readonly apiVersion: 'v1' | 'v2';
  agreementId: string | null;
  wallet: string | null;
  authorised: boolean;
  /** An execute came before the customer had confirmed. */
  triedEarly: boolean;
  trxId: string | null;
  executedAt: number | null;
  readonly refunds: Refund[];
  /** Where its customer is on the page. */
  step: 'wallet' | 'otp' | 'pin';
  wrong: number;
}

export type Fields = Readonly<Record<string, unknown>>;

function text(fields: Fields, ...names: readonly string[]): string {
  for (const name of names) {
    const value = fields[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string') throw new SchemaRefusal();
    if (value !== '') return value;
  }
  throw new BkashRefusal('2065');
}

/** Paisa. */
function amountOf(amount: string, code: string): number {
  const match = /^(\d{1,9})(?:\.(\d{1,2}))?$/.exec(amount);
  const paisa = match ? Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0')) : 0;
  if (paisa <= 0) throw new BkashRefusal(code);
  return paisa;
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
function characters(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
}

export class BkashBook {
  readonly payments = new Map<string, StandInPayment>();
  readonly agreements = new Map<string, { readonly wallet: string; over: boolean }>();
  readonly #byTrxId = new Map<string, StandInPayment>();
  readonly switches: BkashSwitches;

  constructor(switches: BkashSwitches) {
    this.switches = switches;
  }

  now(): number {
    return Date.now() + this.switches.aheadMs;
  }

  create(fields: Fields, mode: string, apiVersion: 'v1' | 'v2'): StandInPayment {
    const isAgreement = mode === '0000';
    if (!['0000', '0001', '0011'].includes(mode)) throw new BkashRefusal('2063');
    const reference = text(fields, 'payerReference');
    const callback = text(fields, 'callbackURL');
    if (/[<>&]/.test(reference) || reference.length > mostText) throw new BkashRefusal('2048');
    if (!URL.canParse(callback)) throw new BkashRefusal('2049');
    const amountText = isAgreement ? '0' : text(fields, 'amount');
    const amount = isAgreement ? 0 : amountOf(amountText, '2006');
    if (!isAgreement && text(fields, 'currency') !== 'BDT') throw new BkashRefusal('2007');
    if (!isAgreement && text(fields, 'intent') !== 'sale') throw new BkashRefusal('2008');
    const invoice = isAgreement ? '' : text(fields, 'merchantInvoiceNumber');
    if (/[<>&]/.test(invoice) || invoice.length > mostText) throw new BkashRefusal('2031');
    const agreementId = mode === '0001' ? text(fields, 'agreementID', 'agreementId') : null;
    const agreement = agreementId === null ? null : this.agreements.get(agreementId);
    if (agreement === undefined) throw new BkashRefusal('2050');
    if (agreement?.over) throw new BkashRefusal('2051');
    const now = this.now();
    const payment: StandInPayment = {
      id: `TR${mode}${characters(`${letters}${letters.toLowerCase()}0123456789`, 8)}${now}`,
      mode,
      invoice,
      amount,
      amountText,
      reference,
      callback,
      createdAt: now,
      hash: randomBytes(24).toString('base64url'),
      signature: characters(`${letters}${letters.toLowerCase()}0123456789`, 10),
      apiVersion,
      agreementId,
      wallet: agreement?.wallet ?? null,
      authorised: agreement !== null && !this.switches.agreementNeedsPin,
      triedEarly: false,
      trxId: null,
      executedAt: null,
      refunds: [],
      step: agreement ? 'pin' : 'wallet',
      wrong: 0,
    };
    this.payments.set(payment.id, payment);
    return payment;
  }

  /** @throws BkashRefusal 2002 */
  find(id: string): StandInPayment {
    const payment = this.payments.get(id);
    if (!payment) throw new BkashRefusal('2002');
    return payment;
  }

  isExpired(payment: StandInPayment): boolean {
    return payment.executedAt === null && this.now() > payment.createdAt + openForMs;
  }

  /** Takes the money, or concludes an agreement. */
  execute(id: string): StandInPayment {
    const payment = this.find(id);
    if (payment.executedAt !== null)
      throw new BkashRefusal(payment.mode === '0000' ? '2116' : this.switches.secondExecute);
    if (this.isExpired(payment)) throw new BkashRefusal('2056');
    if (!payment.authorised) {
      payment.triedEarly = true;
      throw new BkashRefusal(payment.mode === '0001' ? '2060' : '2056');
    }
    if (payment.triedEarly && !this.switches.executeAfterRefusal) throw new BkashRefusal('2056');
    if (payment.mode === '0000') {
      payment.agreementId = `TokenizedMerchant01${characters(letters, 5)}${this.now()}`;
      this.agreements.set(payment.agreementId, { wallet: payment.wallet ?? '', over: false });
    } else {
      if (this.#isDuplicate(payment)) throw new BkashRefusal('2029');
      payment.trxId = this.#trxId();
      this.#byTrxId.set(payment.trxId, payment);
    }
    payment.executedAt = this.now();
    return payment;
  }

  #isDuplicate(payment: StandInPayment): boolean {
    const since = this.now() - this.switches.duplicateMs;
    return [...this.payments.values()].some(
      ({ wallet, amount, executedAt, mode }) =>
        mode !== '0000' &&
        wallet === payment.wallet &&
        amount === payment.amount &&
        executedAt !== null &&
        executedAt > since,
    );
  }

  /** Ten characters, the first of them for the year: C is 2025. */
  #trxId(): string {
    const year = letters.charAt((new Date(this.now()).getUTCFullYear() - 2023) % letters.length);
    return `${year}${characters(`${letters}0123456789`, 9)}`;
  }

  byTrxId(fields: Fields): StandInPayment {
    const payment = this.#byTrxId.get(text(fields, 'trxID', 'trxId'));
    if (!payment) throw new BkashRefusal('2033');
    return payment;
  }

  cancelAgreement(fields: Fields): string {
    const id = text(fields, 'agreementID', 'agreementId');
    const agreement = this.agreements.get(id);
    if (!agreement) throw new BkashRefusal('2050');
    if (agreement.over) throw new BkashRefusal('2051');
    agreement.over = true;
    return id;
  }

  refund(fields: Fields): { readonly payment: StandInPayment; readonly refund: Refund } {
    for (const name of ['paymentId', 'trxId', 'refundAmount', 'sku', 'reason'])
      if (typeof fields[name] !== 'string' || fields[name] === '') throw new SchemaRefusal();
    const payment = this.#refundable(fields);
    const amount = amountOf(text(fields, 'refundAmount'), '2072');
    const sku = text(fields, 'sku');
    const reason = text(fields, 'reason');
    if (/[<>&]/.test(sku)) throw new BkashRefusal('2073');
    if (sku.length > mostText) throw new BkashRefusal('2075');
    if (reason.length > mostText) throw new BkashRefusal('2076');
    if (/[<>&]/.test(reason)) throw new BkashRefusal('2078');
    const now = this.now();
    if (now > (payment.executedAt ?? 0) + this.switches.refundDays * day)
      throw new BkashRefusal('2071');
    const given = payment.refunds.reduce((sum, refund) => sum + refund.amount, 0);
    if (given + amount > payment.amount || payment.refunds.length >= mostRefunds)
      throw new BkashRefusal('2072');
    const isRepeated = payment.refunds.some(
      (refund) => refund.amount === amount && refund.at > now - this.switches.refundDuplicateMs,
    );
    // Nobody has written down which code it really is.
    if (isRepeated) throw new BkashRefusal('2079');
    const refund = { trxId: this.#trxId(), amount, at: now, sku };
    payment.refunds.push(refund);
    return { payment, refund };
  }

  #refundable(fields: Fields): StandInPayment {
    const payment = this.find(text(fields, 'paymentId'));
    if (payment.trxId === null) throw new BkashRefusal('2127');
    if (payment.trxId !== text(fields, 'trxId')) throw new BkashRefusal('2077');
    return payment;
  }

  refunded(fields: Fields): StandInPayment {
    const payment = this.find(text(fields, 'paymentId'));
    if (payment.trxId === null) throw new BkashRefusal('2127');
    if (payment.trxId !== text(fields, 'trxId')) throw new BkashRefusal('3045');
    return payment;
  }

  /** What has come in to the merchant, less what was given back; paisa. */
  total(): number {
    let sum = 0;
    for (const payment of this.#byTrxId.values())
      sum += payment.refunds.reduce((left, { amount }) => left - amount, payment.amount);
    return sum;
  }
}
