/** The calls to Nagad: their addresses, headers and sealed bodies, and what of the answers may be kept. */

import { randomBytes } from 'node:crypto';
import { BlockList, isIPv4 } from 'node:net';
import { dhakaStamp } from './dhaka_time.ts';
import { type Evidence, type Payer, ProviderRefused, ProviderSilent } from './method.ts';
import { maskedNumber } from './msisdn.ts';
import { type NagadKeys, seal, unseal } from './nagad_crypto.ts';
import { callProvider, type ProviderAnswer } from './provider_http.ts';

type Body = Readonly<Record<string, unknown>>;

export interface NagadAccess {
  readonly baseUrl: string;
  readonly merchantId: string;
  readonly merchantNumber: string;
  readonly keys: () => Promise<NagadKeys>;
  readonly fallbackIp: string;
  readonly timeoutMs: number | undefined;
  readonly now: () => Date;
}

const version = { 'X-KM-Api-Version': 'v-0.2.0' };
/** BDT, by ISO 4217's number. */
const taka = '050';

const notPublic = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(network, bits);

/** The IPv4 address that Nagad is told: the payer's where it is a public one, else the fallback. */
export function payerIp(address: string | null, fallback: string): string {
  const own = address?.replace(/^::ffff:/i, '') ?? '';
  return isIPv4(own) && !notPublic.check(own) ? own : fallback;
}

function postHeaders(ip: string, mobile: boolean): Record<string, string> {
  return {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    ...version,
    'X-KM-IP-V4': ip,
    'X-KM-Client-Type': mobile ? 'MOBILE_WEB' : 'PC_WEB',
  };
}

/** What of an answer may be kept: sealed parts by their length only, the payer's number masked. */
function redact(body: Body): unknown {
  const hidden = (name: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    if (name === 'sensitiveData' || name === 'signature') return `${value.length} characters`;
    return name === 'clientMobileNo' ? maskedNumber(value) : value.slice(0, 1000);
  };
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, hidden(name, value)]),
  );
}

function codeIn(body: Body): string | null {
  const code = body.reason ?? body.statusCode ?? body.status;
  return typeof code === 'string' ? code.slice(0, 60) : null;
}

function post(
  access: NagadAccess,
  operation: string,
  path: string,
  headers: Record<string, string>,
  body: unknown,
): Promise<ProviderAnswer> {
  return callProvider(
    {
      operation,
      method: 'POST',
      url: access.baseUrl + path,
      headers,
      body: JSON.stringify(body),
      redact,
      timeoutMs: access.timeoutMs,
    },
    codeIn,
  );
}

/** `{reason, message, devMessage}`, which comes with any HTTP status. @returns Nagad's sentence; null where the answer is no refusal */
export function refusalIn(body: Body): string | null {
  const { reason, message, devMessage } = body;
  if (reason === undefined && message === undefined && devMessage === undefined) return null;
  const said = [message, reason, devMessage].find(
    (part) => typeof part === 'string' && part.trim() !== '',
  );
  return typeof said === 'string' ? said.trim().slice(0, 200) : 'without a reason';
}

function refuseIfRefused({ body, evidence }: ProviderAnswer): void {
  const said = refusalIn(body);
  if (said !== null)
    throw new ProviderRefused(
      `Nagad did not open the payment (${said}). Try again later, or pay in another way.`,
      evidence,
    );
}

function textIn(body: Body, name: string, pattern: RegExp): string | null {
  const value = body[name];
  return typeof value === 'string' && pattern.test(value) ? value : null;
}

/**
 * Whether a reference may be of this order. As far as is known it is base64 of `time.merchant.order.challenge`; that is promised
 * nowhere, so one of another form passes, and one of this form must fit.
 */
function mayBeOf(reference: string, order: readonly string[]): boolean {
  const parts = Buffer.from(reference, 'base64').toString('latin1').split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\w+$/.test(part))) return true;
  return order.every((part, index) => parts[index + 1] === part);
}

export interface Begun {
  readonly reference: string;
  readonly challenge: string;
  readonly evidence: Evidence;
}

/**
 * Asks for a reference.
 * @param orderId at most 20 letters and digits, never used before
 * @throws ProviderRefused, ProviderSilent
 */
export async function initialize(
  access: NagadAccess,
  orderId: string,
  payer: Payer,
): Promise<Begun> {
  const { merchantId, merchantNumber } = access;
  const keys = await access.keys();
  const dateTime = dhakaStamp(access.now());
  const challenge = randomBytes(20).toString('hex');
  // Nagad spells it dateTime outside and datetime inside.
  const sealed = seal(JSON.stringify({ merchantId, datetime: dateTime, orderId, challenge }), keys);
  const answer = await post(
    access,
    'initialize',
    `/check-out/initialize/${encodeURIComponent(merchantId)}/${encodeURIComponent(orderId)}`,
    postHeaders(payerIp(payer.address, access.fallbackIp), payer.mobile),
    {
      ...(merchantNumber ? { accountNumber: merchantNumber } : {}),
      dateTime,
      sensitiveData: sealed.encrypted,
      signature: sealed.signature,
    },
  );
  refuseIfRefused(answer);
  const said = unseal(answer.body, keys);
  if (!said)
    throw new ProviderSilent(
      'initialize: the answer is not signed by Nagad for us',
      answer.evidence,
    );
  const evidence = { ...answer.evidence, body: redact(said) };
  const reference = textIn(said, 'paymentReferenceId', /^[\w+/-]{8,300}={0,2}$/);
  const theirs = textIn(said, 'challenge', /^[\x21-\x7e]{1,100}$/);
  if (!reference || !theirs)
    throw new ProviderSilent('initialize: the answer lacks a reference or a challenge', evidence);
  if (!mayBeOf(reference, [merchantId, orderId, theirs]))
    throw new ProviderSilent('initialize: the reference is of another order', evidence);
  return { reference, challenge: theirs, evidence };
}

/**
 * Says amount and callback.
 * @param order amount as taka with two decimals, such as `100.00`
 * @returns the page of Nagad where the payer pays
 * @throws ProviderRefused, ProviderSilent
 */
export async function complete(
  access: NagadAccess,
  begun: Begun,
  order: { readonly orderId: string; readonly amount: string; readonly callback: string },
  payer: Payer,
): Promise<{ url: string; evidence: Evidence }> {
  const { orderId, amount } = order;
  const sealed = seal(
    JSON.stringify({
      merchantId: access.merchantId,
      orderId,
      currencyCode: taka,
      amount,
      challenge: begun.challenge,
    }),
    await access.keys(),
  );
  const answer = await post(
    access,
    'complete',
    `/check-out/complete/${encodeURIComponent(begun.reference)}`,
    postHeaders(payerIp(payer.address, access.fallbackIp), payer.mobile),
    {
      sensitiveData: sealed.encrypted,
      signature: sealed.signature,
      merchantCallbackURL: order.callback,
      additionalMerchantInfo: { order_no: orderId },
    },
  );
  refuseIfRefused(answer);
  const url = textIn(answer.body, 'callBackUrl', /^https?:\/\//);
  if (answer.body.status !== 'Success' || !url || !URL.canParse(url))
    throw new ProviderSilent('complete: the answer names no page to pay on', answer.evidence);
  // This answer is not signed: over https Nagad's server vouches for it, and a browser is not sent from there to plain http.
  if (access.baseUrl.startsWith('https:') && !url.startsWith('https:'))
    throw new ProviderSilent('complete: the page to pay on is not https', answer.evidence);
  return { url, evidence: answer.evidence };
}

/** @throws ProviderSilent */
export function verifyPayment(access: NagadAccess, reference: string): Promise<ProviderAnswer> {
  return callProvider(
    {
      operation: 'verify',
      method: 'GET',
      url: `${access.baseUrl}/verify/payment/${encodeURIComponent(reference)}`,
      headers: { Accept: 'application/json', ...version },
      body: null,
      redact,
      timeoutMs: access.timeoutMs,
    },
    codeIn,
  );
}

/**
 * Asks to give money back.
 * @param plain the request, JSON, short enough for one block of RSA
 * @returns what Nagad signed, null where the answer is not signed by Nagad, with what it said instead
 * @throws ProviderSilent
 */
export async function cancelPurchase(
  access: NagadAccess,
  orderId: string,
  plain: string,
): Promise<{ said: Body | null; refusal: string | null; evidence: Evidence }> {
  const keys = await access.keys();
  const sealed = seal(plain, keys);
  const answer = await post(
    access,
    'cancel',
    `/purchase/cancel?orderId=${encodeURIComponent(orderId)}`,
    postHeaders(access.fallbackIp, false),
    { sensitiveDataCancelRequest: sealed.encrypted, signature: sealed.signature },
  );
  const said = unseal(answer.body, keys);
  return {
    said,
    refusal: refusalIn(said ?? answer.body),
    evidence: said ? { ...answer.evidence, body: redact(said) } : answer.evidence,
  };
}
