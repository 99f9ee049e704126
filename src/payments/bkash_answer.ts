/** What bKash's answers say, whichever generation of its API they are of: one reader for all spellings. Pure. */
import type { Evidence, Paisa, Truth, TruthState } from './method.ts';
import { maskedNumber, nationalNumber } from './msisdn.ts';
import type { ProviderAnswer } from './provider_http.ts';
import { takaIn } from './taka.ts';

type Body = Readonly<Record<string, unknown>>;

/** The first of the named members that holds text, or a number as text. */
function member(body: Body, ...names: readonly string[]): string | null {
  for (const name of names) {
    const value = body[name];
    if (typeof value === 'number') return String(value);
    if (typeof value === 'string' && value.trim() !== '') return value.trim();
  }
  return null;
}

/** `statusCode` (v1), `errorCode` (the older checkout), `externalCode` (v2). */
export function codeOf(body: Body): string | null {
  return member(body, 'externalCode', 'errorCode', 'statusCode');
}

/** By the id of an agreement money can be taken. */
const secretMembers = /token|secret|password|signature|hash|app_?key|agreement_?id/i;
const addressMembers = /url$/i;
const numberOfPayer = /(?:\+?880|\b0)1\d{9}\b/g;

/** What may be kept of an answer: no tokens, no addresses (they hold our secrets and bKash's), numbers of payers masked. */
export function redacted(body: Body): unknown {
  return clean(body, 0);
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return maskedText(value).slice(0, 500);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > 4) return '…';
  if (Array.isArray(value)) return value.slice(0, 50).map((item) => clean(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 60)
      .map(([name, item]) => [
        name,
        secretMembers.test(name) || addressMembers.test(name) ? '…' : clean(item, depth + 1),
      ]),
  );
}

function maskedText(text: string): string {
  return text.replace(numberOfPayer, (number) => {
    const national = nationalNumber(number);
    return national ? maskedNumber(national) : number;
  });
}

/** The same for the beginning of an answer that could not be read: tokens and addresses are long, and nothing else is. */
export function redactedText(body: unknown): unknown {
  if (typeof body === 'string')
    return maskedText(body).replace(/https?:[^\s"]*|[\w.~+/=-]{40,}/g, '…');
  if (typeof body !== 'object' || body === null) return null;
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, redactedText(value)]),
  );
}

/** `2025-11-02T14:29:02:166 GMT+0600`, in refunds also without the zone, which is Dhaka's; null for anything else. */
export function bkashTime(text: string | null): Date | null {
  const match =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[:.](\d{1,3}))?(?:\s*GMT([+-]\d\d):?(\d\d))?$/.exec(
      text ?? '',
    );
  if (!match) return null;
  const [, second = '', fraction = '', hours = '+06', minutes = '00'] = match;
  const date = new Date(`${second}.${fraction.padStart(3, '0')}${hours}:${minutes}`);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** Words of bKash for where a payment stands. What is not here is not known, and a reason to look. */
const states: Readonly<Record<string, TruthState>> = {
  initiated: 'pending',
  'pending authorized': 'authorised',
  authorized: 'authorised',
  completed: 'paid',
  cancelled: 'cancelled',
  canceled: 'cancelled',
  declined: 'failed',
  failed: 'failed',
  expired: 'failed',
};

const ownModes = ['0011', '0001'];
/** Money that goes out of our account has a TrxID of that account, too. */
const outgoing = /refund|revers|payout|disburse|b2c|withdraw|cash ?out/i;

export class BkashAnswer {
  readonly #body: Body;
  /** Whether success has a code of its own in this generation. */
  readonly #coded: boolean;
  readonly httpStatus: number;
  /** bKash's own; null where it gave none, as for what only the gateway in front of it has seen. */
  readonly code: string | null;
  readonly evidence: Evidence;

  constructor(answer: ProviderAnswer, coded: boolean) {
    this.#body = answer.body;
    this.#coded = coded;
    this.httpStatus = answer.status;
    this.code = codeOf(answer.body);
    this.evidence = answer.evidence;
  }

  /** Whether bKash did what it was asked. */
  get succeeded(): boolean {
    if (this.httpStatus < 200 || this.httpStatus > 299) return false;
    if (this.code !== null) return this.code === '0000';
    return !this.#coded && !this.byGateway;
  }

  /** Whether the gateway refused it, in front of bKash: nothing has happened. */
  get refusedByGateway(): boolean {
    return [400, 401, 403, 404].includes(this.httpStatus) && this.byGateway;
  }

  get byGateway(): boolean {
    return this.code === null && member(this.#body, 'message', 'Message') !== null;
  }

  text(...names: readonly string[]): string | null {
    return member(this.#body, ...names);
  }

  taka(name: string): Paisa | null {
    return takaIn(this.#body[name]);
  }

  list(name: string): readonly Body[] {
    const value = this.#body[name];
    return Array.isArray(value)
      ? value.filter((item): item is Body => typeof item === 'object' && item !== null)
      : [];
  }

  get paymentId(): string | null {
    return this.text('paymentID', 'paymentId');
  }

  get agreementId(): string | null {
    return this.text('agreementID', 'agreementId');
  }

  /** Query calls it `merchantInvoice`. */
  get invoice(): string | null {
    return this.text('merchantInvoiceNumber', 'merchantInvoice');
  }

  get payer(): string | null {
    return nationalNumber(this.text('customerMsisdn', 'payerAccount', 'debitMSISDN') ?? '');
  }

  /** The page of bKash, and the nonce that it gives to all its returns. */
  get page(): string | null {
    return this.text('bkashURL', 'bkashUrl');
  }

  get nonce(): string | null {
    const returns = this.text('successCallbackURL', 'successCallbackUrl');
    const inAddress =
      returns && URL.canParse(returns) ? new URL(returns).searchParams.get('signature') : null;
    return this.text('signature') ?? inAddress;
  }

  /** What this answer says of a payment; never more than it says in so many words. */
  truth(): Truth {
    const said = this.text('transactionStatus') ?? '';
    const state = this.succeeded ? (states[said.toLowerCase()] ?? 'unknown') : 'unknown';
    const heard: Truth = {
      state,
      providerId: this.paymentId,
      invoice: this.invoice,
      amount: this.taka('amount'),
      currency: this.text('currency'),
      trxId: plainTrxId(this.text('trxID', 'trxId')),
      payer: this.payer,
      paidAt: bkashTime(this.text('paymentExecuteTime', 'completedTime')),
      foreign: this.#foreign(),
      reason: null,
      evidence: this.evidence,
    };
    if (state === 'paid' && (heard.trxId === null || heard.amount === null))
      return {
        ...heard,
        state: 'unknown',
        reason: 'bKash calls the payment completed, but names no amount or no TrxID',
      };
    return { ...heard, reason: this.#reason(state, said) };
  }

  #reason(state: TruthState, said: string): string | null {
    if (state === 'paid' || state === 'authorised') return null;
    if (state === 'pending') return 'the payment has not been confirmed in bKash';
    if (state === 'cancelled') return 'the payment was cancelled in bKash';
    if (said === 'Expired') return 'the payment was not confirmed in bKash in time';
    if (state === 'failed') return 'bKash could not make the payment';
    return said === ''
      ? 'bKash did not say where the payment stands'
      : `bKash says "${said.slice(0, 40)}", which we do not know`;
  }

  #foreign(): string | null {
    const intent = this.text('intent');
    if (intent !== null && intent.toLowerCase() !== 'sale')
      return `The intent of this payment is "${intent}", not a sale.`;
    const mode = this.text('mode');
    if (mode !== null && !ownModes.includes(mode))
      return `The mode of this payment is ${mode}, not one of ours.`;
    const type = this.text('transactionType') ?? '';
    return outgoing.test(type) ? `This is no payment to us, but "${type}".` : null;
  }
}

/** Ten letters and digits as far as anybody has seen; null for what is certainly none. */
export function plainTrxId(text: string | null): string | null {
  const trxId = (text ?? '').trim().toUpperCase();
  return /^[A-Z0-9]{6,24}$/.test(trxId) ? trxId : null;
}
