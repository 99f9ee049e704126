/** Amazon's SNS as far as the stand-in for bKash needs it: a key and a certificate of its own, envelopes, and their delivery. */
import { createPublicKey, generateKeyPair, type KeyObject, randomUUID, sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export type Envelope = Readonly<Record<string, string>>;

const host = 'sns.ap-southeast-1.amazonaws.com';
const attempts = 3;
const pauseMs = 500;
const day = 86_400_000;
/** Made at its first use. */
let ownKey: Promise<{ readonly privateKey: KeyObject }> | null = null;

/** One element of DER: its tag, its length, its content. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest >>= 8) length.unshift(rest & 255);
  const head = content.length < 128 ? [tag, content.length] : [tag, 128 | length.length, ...length];
  return Buffer.concat([Buffer.from(head), content]);
}

const sequence = (...contents: readonly Uint8Array[]): Buffer => der(0x30, ...contents);
/** sha256WithRSAEncryption, with its null. */
const signatureAlgorithm = sequence(Buffer.from('06092a864886f70d01010b0500', 'hex'));

/** A distinguished name of a common name only. */
function commonName(name: string): Buffer {
  return sequence(
    der(0x31, sequence(Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from(name)))),
  );
}

function moment(date: Date): Buffer {
  return der(0x18, Buffer.from(`${date.toISOString().replace(/\D/g, '').slice(0, 14)}Z`));
}

/** A self-signed X.509 certificate, as PEM. */
export function selfSigned(key: KeyObject, from: Date, to: Date): string {
  const name = commonName(host);
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const content = sequence(
    der(0x02, Buffer.from([1])),
    signatureAlgorithm,
    name,
    sequence(moment(from), moment(to)),
    name,
    publicKey,
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, key));
  const text = sequence(content, signatureAlgorithm, signature).toString('base64');
  const lines = text.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

const signedMembers = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  other: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};

export class BkashSns {
  readonly topicArn = 'arn:aws:sns:ap-southeast-1:000000000000:sandbox-bkash-payments';
  readonly certificateUrl = `https://${host}/SimpleNotificationService-${randomUUID()}.pem`;
  /** Notifications that wait to be released. */
  readonly held: Envelope[] = [];
  /** Subscriptions that were confirmed. */
  readonly confirmed: string[] = [];
  /** Where notifications go; none leaves while it is null. */
  webhook: string | null = null;
  readonly #from: Date;
  readonly #to: Date;
  #signer: { readonly key: KeyObject; readonly certificate: string } | null = null;
  readonly #over = new AbortController();

  /** @param from and to: when its certificate holds; by itself for a month */
  constructor(from = new Date(Date.now() - day), to = new Date(Date.now() + 30 * day)) {
    this.#from = from;
    this.#to = to;
  }

  /** Makes the key, the same for all of a process: it takes a moment, which who signs nothing need not wait for. */
  async prepare(): Promise<{ readonly key: KeyObject; readonly certificate: string }> {
    ownKey ??= promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
    const { privateKey: key } = await ownKey;
    this.#signer ??= { key, certificate: selfSigned(key, this.#from, this.#to) };
    return this.#signer;
  }

  /** What a GET of an address of SNS gives, for who must not go to Amazon for it. */
  readonly fetchText = async (url: string): Promise<string> => {
    if (url === this.certificateUrl) return (await this.prepare()).certificate;
    const { hostname, searchParams } = new URL(url);
    const token = searchParams.get('Token');
    if (hostname !== host || token === null) throw new Error('HTTP 404');
    this.confirmed.push(token);
    return '<ConfirmSubscriptionResponse/>';
  };

  /** @param message of bKash, JSON as text @param changes members that another sender would set otherwise, before it is signed */
  notification(message: string, changes: Envelope = {}): Envelope {
    return this.signed({
      Type: 'Notification',
      MessageId: randomUUID(),
      TopicArn: this.topicArn,
      Message: message,
      Timestamp: new Date().toISOString(),
      SignatureVersion: '1',
      SigningCertURL: this.certificateUrl,
      UnsubscribeURL: `https://${host}/?Action=Unsubscribe`,
      ...changes,
    });
  }

  subscription(changes: Envelope = {}): Envelope {
    const token = randomUUID();
    return this.signed({
      Type: 'SubscriptionConfirmation',
      MessageId: randomUUID(),
      Token: token,
      TopicArn: this.topicArn,
      Message: 'You have chosen to subscribe to the topic.',
      SubscribeURL: `https://${host}/?Action=ConfirmSubscription&TopicArn=${this.topicArn}&Token=${token}`,
      Timestamp: new Date().toISOString(),
      SignatureVersion: '1',
      SigningCertURL: this.certificateUrl,
      ...changes,
    });
  }

  /** @throws Error before the key is made */
  signed(envelope: Envelope): Envelope {
    if (!this.#signer) throw new Error('there is no key yet: prepare() makes it');
    const names =
      envelope.Type === 'Notification' ? signedMembers.Notification : signedMembers.other;
    const text = names
      .filter((name) => envelope[name] !== undefined)
      .map((name) => `${name}\n${envelope[name]}\n`)
      .join('');
    const algorithm = envelope.SignatureVersion === '2' ? 'RSA-SHA256' : 'RSA-SHA1';
    return {
      ...envelope,
      Signature: sign(algorithm, Buffer.from(text), this.#signer.key).toString('base64'),
    };
  }

  /** Sends those that wait, in the order given by `order`: as they came, unless it is said. */
  async release(
    order: (held: readonly Envelope[]) => readonly Envelope[] = (held) => held,
  ): Promise<void> {
    const waiting = order(this.held.splice(0));
    for (const envelope of waiting) await this.post(envelope);
  }

  /** Sends in the background, again a few times while it is not taken. */
  deliver(envelope: Envelope): void {
    const attempt = async (): Promise<void> => {
      for (let left = attempts; left > 0; left -= 1) {
        const status = await this.post(envelope).catch(() => 0);
        if (status === null || (status >= 200 && status < 300)) return;
        await sleep(pauseMs, undefined, { signal: this.#over.signal });
      }
    };
    attempt().catch(() => {});
  }

  /** As SNS sends: JSON that is called plain text. Returns the HTTP status; null where there is nowhere to send it. */
  async post(envelope: Envelope): Promise<number | null> {
    if (this.webhook === null) return null;
    const response = await fetch(this.webhook, {
      method: 'POST',
      headers: {
        'Content-Type': 'text/plain; charset=UTF-8',
        'x-amz-sns-message-type': envelope.Type ?? '',
        'x-amz-sns-message-id': envelope.MessageId ?? '',
        'x-amz-sns-topic-arn': envelope.TopicArn ?? '',
      },
      body: JSON.stringify(envelope),
      signal: this.#over.signal,
    });
    await response.body?.cancel();
    return response.status;
  }

  close(): void {
    this.#over.abort();
  }
}
