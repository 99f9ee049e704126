/** What an upstream's refusal means for us: its 401 and 402 are the operator's trouble, never the client's. */
import type { Dialect } from '../dialects/dialect.ts';
import { errorMessage } from '../dialects/openai.ts';
import { ApiError } from '../errors.ts';
import type { KeyRing, OwnKeyUse } from './provider_keys.ts';
import type { UpstreamCall } from './upstream.ts';

/** `key`: of the key that asked, so that another may do · `rate`: of how often it asks · `other`: of whatever else. */
type Kind = 'key' | 'rate' | 'other';

/** A provider's refusal. `final`: what the client is told, because no other offer of the model would do better. */
export class Refusal extends Error {
  readonly status: number;
  readonly kind: Kind;
  readonly final: ApiError | null;
  /** Where it was asked too often. */
  readonly retryAfterMs: number | null;

  constructor(
    status: number,
    kind: Kind,
    message: string,
    final: ApiError | null,
    retryAfterMs: number | null,
  ) {
    super(message);
    this.status = status;
    this.kind = kind;
    this.final = final;
    this.retryAfterMs = retryAfterMs;
  }
}

const errorBodyBytes = 65_536;
/** What some providers say with a 400 although it is about our account with them, not about the request. */
const operatorsTrouble =
  /credit balance|billing|api key|arrearage|quota|organization|your (?:plan|account)|project .*access|user location/i;
const allOperatorsTrouble = new RegExp(operatorsTrouble, 'gi');
/** xAI's 403 for a prompt that it does not want: nothing is wrong with our key. */
const unwantedContent = /^content violates usage guidelines/i;
const unpaid = /credit balance|billing|arrearage|quota/i;
const emptyAccount = /insufficient_quota|exceeded_current_quota|RequestsPerDay/;
/** Where a provider says "too many" and not for how long. */
const defaultRetryAfterMs = 5000;

interface Asked {
  readonly dialect: Dialect;
  readonly origin: string;
  readonly keys: KeyRing;
}

/** Reads what the provider says to an answer that is not 200. @param asked JSON of the request that it got */
export async function refusalOf(
  call: Pick<UpstreamCall, 'status' | 'text' | 'header'>,
  { origin, dialect, keys }: Asked,
  asked: string,
): Promise<Refusal> {
  const { status } = call;
  const body = await call.text(errorBodyBytes).catch(() => '');
  // Some providers quote the key that they were given, or the address that was asked.
  const message = [...keys.keys.map(({ text }) => text), origin, new URL(origin).host]
    .filter((secret) => secret !== '')
    .reduce((text, secret) => text.replaceAll(secret, '…'), messageOf(body));
  const meaning = dialect.errorMeaning?.(body) ?? null;
  const wait = (): number =>
    retryAfter(call) ?? dialect.retryAfterMs?.(body) ?? defaultRetryAfterMs;
  if (meaning === 'key') return new Refusal(status, 'key', message, null, null);
  if (meaning === 'failed') return new Refusal(status, 'other', message, null, null);
  if (meaning === 'rate') return new Refusal(status, 'rate', message, null, wait());
  if (status === 400 || status === 422 || (status === 403 && unwantedContent.test(message))) {
    if (isOperatorsTrouble(message, asked)) return new Refusal(status, 'key', message, null, null);
    return new Refusal(status, 'other', message, rejected('upstream_rejected', message), null);
  }
  if (status === 413)
    return new Refusal(status, 'other', message, rejected('request_too_large', message), null);
  if (status === 429 && !emptyAccount.test(body))
    return new Refusal(status, 'rate', message, null, wait());
  const isOfKey = status === 401 || status === 402 || status === 403 || status === 429;
  return new Refusal(status, isOfKey ? 'key' : 'other', message, null, null);
}

/**
 * Words that the request has as well may be quoted from it: by them a client could have every key benched, one
 * `"reasoning_effort": "billing"` after the other.
 */
function isOperatorsTrouble(message: string, asked: string): boolean {
  if (!operatorsTrouble.test(message)) return false;
  // As it is read, whatever escapes it was written with.
  const request = JSON.stringify(JSON.parse(asked)).toLowerCase();
  return Array.from(message.matchAll(allOperatorsTrouble), ([words]) => words.toLowerCase()).some(
    (words) => !request.includes(words),
  );
}

/** What the owner of a key hears of its refusal. */
export function ofOwnKey(
  { providerName, lastFour }: OwnKeyUse,
  { kind, status, message, retryAfterMs }: Refusal,
): ApiError {
  const theirs = message ? ` It says: ${message}` : '';
  const key = `your own key (…${lastFour})`;
  if (kind === 'rate')
    return new ApiError('own_key_rate_limited', {
      message: `${providerName} is rate limiting ${key}; retry later.${theirs}`,
      retryAfterMs: retryAfterMs ?? defaultRetryAfterMs,
    });
  if (status === 402 || status === 429 || unpaid.test(message))
    return new ApiError('own_key_unpaid', {
      message: `${providerName} says that the account of ${key} has no money or quota left; nothing was charged here.${theirs}`,
    });
  return new ApiError('own_key_rejected', {
    message: `${providerName} did not accept ${key}; nothing was charged here.${theirs}`,
  });
}

function rejected(code: 'upstream_rejected' | 'request_too_large', message: string): ApiError {
  return message ? new ApiError(code, { message }) : new ApiError(code);
}

function messageOf(body: string): string {
  try {
    return (errorMessage(JSON.parse(body)) ?? '').slice(0, 1000);
  } catch {
    return '';
  }
}

/** Whatever a provider says, after this it is asked again; ms. */
const longestWaitMs = 3_600_000;

/** Seconds or a date, or Azure's milliseconds; in ms. */
function retryAfter(call: Pick<UpstreamCall, 'header'>): number | null {
  const wait = retryAfterAsSaid(call);
  return wait === null ? null : Math.min(wait, longestWaitMs);
}

function retryAfterAsSaid(call: Pick<UpstreamCall, 'header'>): number | null {
  const ms = Number(call.header('retry-after-ms') || Number.NaN);
  if (ms >= 0) return ms;
  const text = call.header('retry-after');
  if (text === '') return null;
  const wait = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
