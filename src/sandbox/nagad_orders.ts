/** What the stand-in for Nagad knows of its payments, and the strict checks of every step: who asks, in which order, and for what. */

import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIPv4 } from 'node:net';
import { NagadRefusal } from './nagad_refusal.ts';

type Body = Readonly<Record<string, unknown>>;

export type NagadState =
  | 'Initiated'
  | 'OrderInitiated'
  | 'Ready'
  | 'Success'
  | 'Failed'
  | 'Aborted';

export interface NagadOrder {
  readonly orderId: string;
  readonly reference: string;
  readonly challenge: string;
  readonly begunAt: Date;
  state: NagadState;
  /** As the merchant sent it, such as `100.00`; null before it is completed. */
  amount: string | null;
  callback: string;
  /** JSON text. */
  info: string | null;
  trxId: string | null;
  decidedAt: Date | null;
  /** How often verify was asked since the payer decided. */
  polls: number;
  cancelled: { readonly reference: string; readonly at: Date } | null;
}

const clientTypes = ['PC_WEB', 'MOBILE_WEB', 'MOBILE_APP', 'WALLET_WEB_VIEW', 'BILL_KEY'];
/** How far the merchant's clock may be off; ms. */
const clockMs = 10 * 60_000;

/** Dhaka's time as `YYYY-MM-DD HH:mm:ss.0`, as verify writes it. */
export function dhakaText(moment: Date): string {
  const iso = new Date(moment.getTime() + 6 * 3_600_000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.0`;
}

function digitsOf(text: string): string {
  return text.replace(/\D/g, '');
}

/** Letters and digits, as ids of transfers have. */
function randomId(length: number): string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ0123456789';
  return Array.from(randomBytes(length), (byte) => letters[byte % letters.length]).join('');
}

/** @throws NagadRefusal */
export function checkHeaders(headers: IncomingHttpHeaders): void {
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    throw new NagadRefusal('contentType');
  if (headers['x-km-api-version'] !== 'v-0.2.0') throw new NagadRefusal('version');
  if (!isIPv4(String(headers['x-km-ip-v4'] ?? ''))) throw new NagadRefusal('ip');
  if (!clientTypes.includes(String(headers['x-km-client-type'] ?? '')))
    throw new NagadRefusal('client');
}

/** Within ten minutes of now, in Dhaka's time, two digits to everything but the year. */
function checkTime(dateTime: unknown, now: Date): void {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(String(dateTime));
  if (typeof dateTime !== 'string' || !match) throw new NagadRefusal('time');
  const [, year, month, day, hour, minute, second] = match;
  const moment = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}+06:00`);
  if (!(Math.abs(moment - now.getTime()) <= clockMs)) throw new NagadRefusal('time');
}

export interface Merchant {
  readonly merchantId: string;
  readonly merchantNumber: string;
}

export class NagadOrders {
  readonly #merchant: Merchant;
  readonly #byReference = new Map<string, NagadOrder>();
  readonly #orderIds = new Map<string, NagadOrder>();

  constructor(merchant: Merchant) {
    this.#merchant = merchant;
  }

  /** @throws NagadRefusal */
  byReference(reference: string): NagadOrder {
    const order = this.#byReference.get(reference);
    if (!order) throw new NagadRefusal('reference');
    return order;
  }

  /** Step 1. @param path merchant and order as the address names them @param plain decrypted @throws NagadRefusal */
  initialize(path: readonly [string, string], body: Body, plain: Body, now: Date): NagadOrder {
    const { merchantId, merchantNumber } = this.#merchant;
    const [pathMerchant, orderId] = path;
    if (pathMerchant !== merchantId) throw new NagadRefusal('merchant');
    if (!/^[A-Za-z0-9]{1,20}$/.test(orderId)) throw new NagadRefusal('orderId');
    if (body.accountNumber !== undefined && body.accountNumber !== merchantNumber)
      throw new NagadRefusal('account');
    checkTime(body.dateTime, now);
    if (plain.merchantId !== merchantId || plain.orderId !== orderId)
      throw new NagadRefusal('mismatch');
    if (plain.datetime !== body.dateTime) throw new NagadRefusal('mismatch');
    if (typeof plain.challenge !== 'string' || !/^\w{20,40}$/.test(plain.challenge))
      throw new NagadRefusal('challenge');
    if (this.#orderIds.has(orderId)) throw new NagadRefusal('orderUsed');
    const challenge = randomBytes(10).toString('hex');
    const time = digitsOf(dhakaText(now)).slice(4, 14);
    const ms = String(now.getMilliseconds()).padStart(3, '0');
    const name = `${time}${ms}.${merchantId}.${orderId}.${challenge}`;
    const order: NagadOrder = {
      orderId,
      reference: Buffer.from(name).toString('base64'),
      challenge,
      begunAt: now,
      state: 'Initiated',
      amount: null,
      callback: '',
      info: null,
      trxId: null,
      decidedAt: null,
      polls: 0,
      cancelled: null,
    };
    this.#byReference.set(order.reference, order);
    this.#orderIds.set(orderId, order);
    return order;
  }

  /** Step 2. @throws NagadRefusal */
  complete(reference: string, body: Body, plain: Body): NagadOrder {
    const order = this.byReference(reference);
    if (order.state !== 'Initiated') throw new NagadRefusal('completed');
    if (plain.merchantId !== this.#merchant.merchantId || plain.orderId !== order.orderId)
      throw new NagadRefusal('mismatch');
    if (plain.challenge !== order.challenge) throw new NagadRefusal('challenge');
    if (plain.currencyCode !== '050') throw new NagadRefusal('currency');
    const { amount } = plain;
    if (typeof amount !== 'string' || !/^\d{1,9}\.\d\d$/.test(amount) || !/[1-9]/.test(amount))
      throw new NagadRefusal('amount');
    const callback = body.merchantCallbackURL;
    if (typeof callback !== 'string' || !/^https?:\/\/[^?#\s]+$/.test(callback))
      throw new NagadRefusal('callback');
    const info = body.additionalMerchantInfo;
    if (info !== undefined && (typeof info !== 'object' || info === null || Array.isArray(info)))
      throw new NagadRefusal('info');
    order.amount = amount;
    order.callback = callback;
    order.info = info === undefined ? null : JSON.stringify(info);
    order.state = 'OrderInitiated';
    return order;
  }

  /** Gives back a paid payment, once. @param query of the address @throws NagadRefusal */
  cancel(query: URLSearchParams, plain: Body, now: Date): NagadOrder {
    const orderId = query.get('orderId');
    const reference = query.get('paymentRefId');
    const order = orderId === null ? undefined : this.#orderIds.get(orderId);
    const found = order ?? this.byReference(reference ?? '');
    if (plain.merchantId !== this.#merchant.merchantId) throw new NagadRefusal('merchant');
    if (orderId === null ? plain.paymentRefId !== reference : plain.orderId !== orderId)
      throw new NagadRefusal('mismatch');
    if (found.state !== 'Success') throw new NagadRefusal('notPaid');
    if (found.cancelled) throw new NagadRefusal('cancelled');
    const { originalRequestDate, originalAmount, cancelAmount, referenceNo } = plain;
    const sound =
      originalRequestDate === digitsOf(dhakaText(found.begunAt)).slice(0, 8) &&
      originalAmount === found.amount &&
      typeof cancelAmount === 'string' &&
      /^\d{1,9}\.\d\d$/.test(cancelAmount) &&
      /[1-9]/.test(cancelAmount) &&
      Number(cancelAmount) <= Number(originalAmount) &&
      typeof referenceNo === 'string' &&
      /^\w{1,20}$/.test(referenceNo) &&
      typeof plain.referenceMessage === 'string';
    if (!sound) throw new NagadRefusal('cancelRequest');
    found.cancelled = { reference: randomId(8), at: now };
    return found;
  }
}

/** What the payer did on the page; final. */
export function decide(
  order: NagadOrder,
  state: 'Success' | 'Failed' | 'Aborted',
  now: Date,
): void {
  order.state = state;
  order.decidedAt = now;
  if (state === 'Success') order.trxId = randomId(8);
}

const endings = {
  Success: ['00_0000_000', 'Successful Transaction'],
  Failed: ['50_0026_851', 'E Com Trx Failed. Transaction over limit.'],
  Aborted: ['SIM_ABORTED', 'The payer left the page. (SANDBOX)'],
} as const;

export function isDecided(state: NagadState): state is keyof typeof endings {
  return state in endings;
}

/** Where the browser is sent at the end; Nagad writes a slash before the question mark. */
export function returnAddress(order: NagadOrder, { merchantId }: Merchant): string {
  const { state, trxId } = order;
  if (!isDecided(state)) return order.callback;
  const [code, message] = endings[state];
  const parameters: readonly [string, string][] = [
    ['merchant', merchantId],
    ['order_id', order.orderId],
    ['payment_ref_id', order.reference],
    ['status', state],
    ['status_code', code],
    ['message', message],
    ['payment_dt', digitsOf(dhakaText(order.decidedAt ?? order.begunAt)).slice(0, 14)],
    ...(trxId === null
      ? []
      : [['issuer_payment_ref', Buffer.from(trxId).toString('base64')] as [string, string]]), // as: a pair
  ];
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `${order.callback.replace(/\/+$/, '')}/?${query.join('&')}`;
}

/** `100.00` → `100`, `100.50` → `100.5`: as verify writes amounts. */
function shortened(amount: string): string {
  return amount.replace(/\.?0+$/, '');
}

/** The answer of verify. @param word the state as it is shown */
export function verification(
  order: NagadOrder,
  { merchantId, merchantNumber }: Merchant,
  word: string,
): Record<string, unknown> {
  const paid = word === 'Success';
  return {
    merchantId,
    orderId: order.orderId,
    paymentRefId: order.reference,
    amount: order.amount === null ? null : shortened(order.amount),
    clientMobileNo: paid ? '017****5678' : null,
    merchantMobileNo: merchantNumber,
    orderDateTime: dhakaText(order.begunAt),
    issuerPaymentDateTime: paid && order.decidedAt ? dhakaText(order.decidedAt) : null,
    issuerPaymentRefNo: paid ? order.trxId : null,
    additionalMerchantInfo: order.info,
    status: word,
    statusCode: paid ? '000' : `SIM_${word.toUpperCase()}`,
    cancelIssuerDateTime: order.cancelled ? dhakaText(order.cancelled.at) : null,
    cancelIssuerRefNo: order.cancelled?.reference ?? null,
    serviceType: 'REGULAR_ECOM',
  };
}
