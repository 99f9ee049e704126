/**
 * bKash's notifications, which come by way of Amazon's SNS. Anybody may have SNS sign messages, and anybody may send us one: what
 * counts is the topic that the operator has pinned and a signature by a certificate from Amazon. And then it is a hint to ask.
 */
import { verify, X509Certificate } from 'node:crypto';
import { plainTrxId, redacted } from './bkash_answer.ts';
import { dhakaMoment } from './dhaka_time.ts';
import type { Hint } from './method.ts';
import { nationalNumber } from './msisdn.ts';
import { objectIn } from './provider_http.ts';
import { takaIn } from './taka.ts';

/** GETs a text at an address of Amazon that was checked before. @throws Error */
export type FetchText = (url: string) => Promise<string>;

export interface NotificationSettings {
  /** The topic of our merchant account; messages of any other are not believed. */
  readonly topicArn: string;
  /** Whether a subscription that SNS asks about is confirmed. */
  readonly confirmSubscription: boolean;
  /** `fetchBounded`, but for the stand-in, which has no address at Amazon. */
  readonly fetchText: FetchText;
}

const amazon = /^sns\.[a-z0-9-]{3,}\.amazonaws\.com(?:\.cn)?$/;
const mostBytes = 32_000;
const fetchMs = 5000;
const mostCertificates = 8;
const mostFetches = 4;
/** SNS tries again for about that long; ms. */
const freshMs = 3_600_000;

/** No redirects, a few seconds, a few kilobytes. @throws Error */
export async function fetchBounded(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(fetchMs) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > mostBytes) throw new Error('too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Whether an address is one of SNS itself, over HTTPS, without a port or a user. */
export function isAmazonSns(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, port, username, password } = new URL(address);
  return (
    protocol === 'https:' &&
    amazon.test(hostname) &&
    port === '' &&
    username === '' &&
    password === '' &&
    // What one reader takes for the host another may not.
    !/[\\\s@]/.test(address)
  );
}

type Message = Readonly<Record<string, string>>;

const signedMembers: Readonly<Record<string, readonly string[]>> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ],
  UnsubscribeConfirmation: [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ],
};

/** What is signed: name and value of each member on lines of their own, in this order, those left out that are not there. */
function canonical(message: Message): string {
  const names = signedMembers[message.Type ?? ''] ?? [];
  return names
    .filter((name) => message[name] !== undefined)
    .map((name) => `${name}\n${message[name]}\n`)
    .join('');
}

const algorithms: ReadonlyMap<string, string> = new Map([
  ['1', 'RSA-SHA1'],
  ['2', 'RSA-SHA256'],
]);

export class BkashNotifications {
  readonly #settings: NotificationSettings;
  readonly #certificates = new Map<string, Promise<X509Certificate>>();
  #fetching = 0;

  constructor(settings: NotificationSettings) {
    this.#settings = settings;
  }

  /** @returns null where the message is not to be believed */
  async read(body: string, headers: Headers): Promise<Hint | null> {
    const message = messageIn(body);
    if (!message || !(await this.#isGenuine(message, headers))) return null;
    if (message.Type === 'Notification') return notificationHint(message);
    const wanted =
      message.Type === 'SubscriptionConfirmation' && this.#settings.confirmSubscription;
    const confirmed = wanted && (await this.#confirm(message.SubscribeURL ?? ''));
    return hintOf(message, { confirmed }, { invoice: null, receipt: null });
  }

  /** In the order of what it costs us: a stranger's message is turned away before anything is fetched. */
  async #isGenuine(message: Message, headers: Headers): Promise<boolean> {
    const {
      Type = '',
      TopicArn,
      SignatureVersion = '',
      Signature = '',
      SigningCertURL = '',
    } = message;
    const type = headers.get('x-amz-sns-message-type');
    const algorithm = algorithms.get(SignatureVersion);
    if (!Object.hasOwn(signedMembers, Type) || (type !== null && type !== Type)) return false;
    if (this.#settings.topicArn === '' || TopicArn !== this.#settings.topicArn) return false;
    if (!algorithm || !isAmazonSns(SigningCertURL)) return false;
    if (!new URL(SigningCertURL).pathname.endsWith('.pem')) return false;
    const certificate = await this.#certificate(SigningCertURL);
    if (!certificate) return false;
    const text = Buffer.from(canonical(message));
    try {
      return verify(algorithm, text, certificate.publicKey, Buffer.from(Signature, 'base64'));
    } catch {
      return false;
    }
  }

  /** Fetched once for each address; null where it cannot be had or its dates do not hold. */
  async #certificate(url: string): Promise<X509Certificate | null> {
    try {
      const certificate = await (this.#certificates.get(url) ?? this.#fetched(url));
      const now = Date.now();
      const from = Date.parse(certificate.validFrom);
      const to = Date.parse(certificate.validTo);
      if (from <= now && now <= to) return certificate;
    } catch {
      // As one whose dates do not hold.
    }
    this.#certificates.delete(url);
    return null;
  }

  /** A stranger may name address after address of Amazon: a few are fetched at a time, the others come again. */
  #fetched(url: string): Promise<X509Certificate> {
    if (this.#fetching >= mostFetches) return Promise.reject(new Error('too many at a time'));
    if (this.#certificates.size >= mostCertificates) this.#certificates.clear();
    this.#fetching += 1;
    const fetched = this.#settings
      .fetchText(url)
      .then((text) => new X509Certificate(text))
      .finally(() => {
        this.#fetching -= 1;
      });
    this.#certificates.set(url, fetched);
    return fetched;
  }

  async #confirm(url: string): Promise<boolean> {
    if (!isAmazonSns(url)) return false;
    try {
      await this.#settings.fetchText(url);
      return true;
    } catch {
      return false;
    }
  }
}

/** All members of the envelope that are text; null where it is no JSON object. */
function messageIn(body: string): Message | null {
  const value = objectIn(body);
  if (!value) return null;
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

function hintOf(
  message: Message,
  facts: Readonly<Record<string, unknown>>,
  { invoice, receipt }: Pick<Hint, 'invoice' | 'receipt'>,
): Hint {
  const sent = Date.parse(message.Timestamp ?? '');
  const body = {
    type: message.Type,
    messageId: message.MessageId ?? null,
    timestamp: message.Timestamp ?? null,
    // A late one is as good a reason to ask as any.
    stale: !(Math.abs(Date.now() - sent) < freshMs),
    ...facts,
  };
  const evidence = { operation: 'notification', httpStatus: null, ms: 0, code: null, body };
  const messageId = message.MessageId ?? null;
  return { messageId, invoice, providerId: null, receipt, evidence };
}

function notificationHint(message: Message): Hint {
  const said = objectIn(message.Message ?? '');
  if (!said) return hintOf(message, { said: null }, { invoice: null, receipt: null });
  const text = (name: string): string | null => {
    const value = said[name];
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
  };
  const trxId = plainTrxId(text('trxID') ?? text('trxId'));
  const amount = takaIn(said.amount);
  const completed =
    text('transactionStatus')?.toLowerCase() === 'completed' &&
    (text('currency') ?? 'BDT') === 'BDT';
  return hintOf(
    message,
    { said: redacted(said) },
    {
      invoice: text('merchantInvoiceNumber'),
      receipt:
        completed && trxId !== null && amount !== null
          ? {
              trxId,
              amount,
              payer: nationalNumber(text('debitMSISDN') ?? ''),
              paidAt: dhakaMoment(text('dateTime') ?? ''),
            }
          : null,
    },
  );
}
