/**
 * What a payment method is: the part of a payment that differs between bKash, Nagad, UddoktaPay and sending money by hand.
 *
 * A method talks to its provider and says what it heard. It never decides about money: `settle.ts` compares what a method
 * says with what the payment is, and credits. Nothing that comes by way of a browser or a webhook is more than a reason to ask.
 */

/** Taka are counted in whole paisa: ৳1 = 100 paisa. */
export type Paisa = number & { readonly unit: 'paisa' };

export type MethodId = 'bkash' | 'nagad' | 'uddoktapay' | 'manual';

/** What a method may know of a payment. */
export interface PaymentFacts {
  /** UUID. */
  readonly id: string;
  /** Our invoice number: upper-case letters and digits, at most 20, never used twice. */
  readonly invoice: string;
  readonly amount: Paisa;
  /** The provider's id of the payment, once it is known. */
  readonly providerId: string | null;
  /** What `open` wished to have kept; null where it wished nothing. */
  readonly nonce: string | null;
  /** Whether `capture` has been asked for; it is asked for once. */
  readonly captureAsked: boolean;
  readonly createdAt: Date;
}

/** Who pays, as far as the checkout of a provider asks. */
export interface Payer {
  /** Stands for the account at the provider; says nothing about it. Letters, digits and `_`. */
  readonly reference: string;
  readonly name: string;
  readonly email: string;
  /** The payer's own address, IPv4 or IPv6; null where it is not known. */
  readonly address: string | null;
  /** From the browser's user agent. */
  readonly mobile: boolean;
}

/** Where the provider sends the browser, and its webhooks: addresses of ours, each with a secret of its payment in its path. */
export interface ReturnAddresses {
  readonly callback: string;
  readonly cancel: string;
  readonly webhook: string;
}

export interface Opened {
  /** null where the provider tells it only later (UddoktaPay). */
  readonly providerId: string | null;
  /** The page of the provider where the payer pays. */
  readonly redirectUrl: string;
  readonly nonce: string | null;
  /** Redacted: what is kept as evidence. */
  readonly evidence: Evidence;
}

/** What was heard, as it may be stored and shown: no tokens, no keys, numbers of payers masked (`017******75`). */
export interface Evidence {
  /** Name of the provider's operation, such as `execute`. */
  readonly operation: string;
  readonly httpStatus: number | null;
  readonly ms: number;
  /** The provider's own code, such as `2062`; null where it gave none. */
  readonly code: string | null;
  readonly body: unknown;
}

/**
 * What the provider says of a payment, asked from server to server.
 * paid: final, money has moved · authorised: the payer agreed, nothing moved yet · pending: may still be paid ·
 * cancelled, failed: final by the provider's word · unknown: no answer, or none that can be understood
 */
export type TruthState = 'paid' | 'authorised' | 'pending' | 'cancelled' | 'failed' | 'unknown';

export interface Truth {
  readonly state: TruthState;
  /** As the provider names them in this answer; null where it does not. All that is named is compared with the payment. */
  readonly providerId: string | null;
  readonly invoice: string | null;
  readonly amount: Paisa | null;
  /** ISO code, `BDT`. */
  readonly currency: string | null;
  /** Id of the transfer of money, which the payer sees, too: upper case, trimmed. Always there when paid. */
  readonly trxId: string | null;
  /** National form, `01XXXXXXXXX`; may hold `*` where the provider masks it. */
  readonly payer: string | null;
  readonly paidAt: Date | null;
  /** A sentence where the answer is of another merchant, intent or environment than ours, or of money given back: never to be credited. */
  readonly foreign: string | null;
  /** Answering a search: the provider certainly has no such transfer. */
  readonly absent?: boolean;
  /** Why not paid, for people, in a few words; null where there is nothing to say. */
  readonly reason: string | null;
  readonly evidence: Evidence;
}

/** What is known where the provider named nothing. */
export function bareTruth(state: TruthState, reason: string | null, evidence: Evidence): Truth {
  return {
    state,
    providerId: null,
    invoice: null,
    amount: null,
    currency: null,
    trxId: null,
    payer: null,
    paidAt: null,
    foreign: null,
    reason,
    evidence,
  };
}

/** What a browser claims on its way back. */
export interface Claim {
  readonly claims: 'paid' | 'cancelled' | 'failed' | 'unknown';
  readonly providerId: string | null;
  readonly nonce: string | null;
}

/** What a webhook points to; never an amount to credit. */
export interface Hint {
  /** The provider's number of the message, the same whenever it is sent again; null where it gives none. */
  readonly messageId: string | null;
  readonly invoice: string | null;
  readonly providerId: string | null;
  /** Set where money came in that may be of no payment of ours: listed for the operator when nothing fits. */
  readonly receipt: {
    readonly trxId: string;
    readonly amount: Paisa;
    readonly payer: string | null;
    readonly paidAt: Date | null;
  } | null;
  readonly evidence: Evidence;
}

export interface RefundOrder {
  /** Our id of the refund: upper-case letters and digits, at most 20. */
  readonly reference: string;
  readonly amount: Paisa;
  readonly reason: string;
  /** The provider's ids of other refunds of this payment: a provider that knows no reference of ours tells refunds apart by them. */
  readonly others?: readonly string[];
}

/** refunded: proven by the provider · refused: certainly nothing moved · unknown: anything else, kept for review */
export interface RefundTruth {
  readonly state: 'refunded' | 'refused' | 'unknown';
  readonly providerRefundId: string | null;
  readonly reason: string | null;
  readonly evidence: Evidence;
}

/** A provider could not be asked, or answered what cannot be understood: nothing is known of what it did. */
export class ProviderSilent extends Error {
  readonly evidence: Evidence;
  constructor(message: string, evidence: Evidence) {
    super(message);
    this.name = 'ProviderSilent';
    this.evidence = evidence;
  }
}

/** A provider refused to open a payment; `message` is for people and says what they may do. */
export class ProviderRefused extends Error {
  readonly evidence: Evidence;
  constructor(message: string, evidence: Evidence) {
    super(message);
    this.name = 'ProviderRefused';
    this.evidence = evidence;
  }
}

/** Why a provider opened nothing: a sentence for people, and what it said. @throws what is no failure of a provider */
export function whyNotOpened(
  { name }: Pick<PaymentMethod, 'name'>,
  error: unknown,
): { readonly reason: string; readonly evidence: Evidence } {
  if (error instanceof ProviderRefused) return { reason: error.message, evidence: error.evidence };
  if (error instanceof ProviderSilent)
    return { reason: `${name} does not answer at the moment.`, evidence: error.evidence };
  throw error;
}

export interface PaymentMethod {
  readonly id: MethodId;
  /** `bKash`, as receipts and statements say it. */
  readonly name: string;
  /** Whether it may be opened now: false where there are no credentials, with the reason for the operator. */
  readonly available: true | { readonly why: string };
  /** In paisa: what the provider itself takes at least and at most; the operator's own bounds lie within. */
  readonly least: Paisa;
  readonly most: Paisa;
  /** How long a payment may be paid after it was opened; ms. It is asked about for as long, and a success that comes later counts. */
  readonly openForMs: number;
  /** Delays before each question to the provider, from opening on, the last one repeated; ms. Empty: cannot be asked until its id is known. */
  readonly pollAfterMs: readonly number[];

  /** @throws ProviderRefused, ProviderSilent */
  open(payment: PaymentFacts, payer: Payer, addresses: ReturnAddresses): Promise<Opened>;

  /** Reads what the browser brings back, from query or form. Pure. */
  claimOf(returned: URLSearchParams): Claim;

  /** What the provider says; never throws for a provider's sake: what cannot be asked is `unknown`. */
  ask(payment: PaymentFacts): Promise<Truth>;

  /**
   * Takes the money that the payer has authorised (bKash's execute). Called once in the life of a payment, after it is
   * written down that it will be; never again, whatever comes of it: then `ask` says what happened.
   */
  readonly capture?: (payment: PaymentFacts) => Promise<Truth>;

  /** A transfer to our merchant account by its id, for rescue and for the nightly comparison. `state` unknown where there is none. */
  readonly search?: (trxId: string) => Promise<Truth>;

  /** @returns null where the webhook is not to be believed: a wrong or missing signature, key or topic */
  readonly webhook?: (body: string, headers: Headers) => Promise<Hint | null>;

  /** Gives back a part of a paid payment. Called once a refund; afterwards `refundStatus` is asked. */
  readonly refund?: (payment: PaidPayment, order: RefundOrder) => Promise<RefundTruth>;
  readonly refundStatus?: (payment: PaidPayment, order: RefundOrder) => Promise<RefundTruth>;

  /** Standing permissions to take money, for automatic top-ups. */
  readonly agreements?: Agreements;
}

export interface PaidPayment extends PaymentFacts {
  readonly trxId: string;
  readonly paidAt: Date;
}

export interface Agreements {
  /** @param invoice names the request at the provider @throws ProviderRefused, ProviderSilent */
  open(invoice: string, payer: Payer, addresses: ReturnAddresses): Promise<Opened>;
  /** After the payer agreed: asked once, then `find`. Returns the provider's id of the agreement and the payer's number, masked; null where there is none. */
  conclude(
    providerId: string,
  ): Promise<{ readonly agreementId: string; readonly payer: string | null } | null>;
  /** Opens a payment under an agreement; it is then captured as any other. @throws ProviderRefused, ProviderSilent */
  charge(
    agreementId: string,
    payment: PaymentFacts,
    payer: Payer,
    addresses: ReturnAddresses,
  ): Promise<Opened>;
  /** Whether the agreement is over at the provider. */
  cancel(agreementId: string): Promise<boolean>;
}
