/** Trying one offer after the other, until one has begun to answer. After the first byte there is no other. */
import { Unreadable, Unsupported } from '../dialects/dialect.ts';
import { errorMessage } from '../dialects/openai.ts';
import { ApiError } from '../errors.ts';
import { ClientLeft } from './body.ts';
import type { Target } from './choose.ts';
import type { OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import { UpstreamBroken, type UpstreamCall, type Upstreams } from './upstream.ts';

/** A failed try, as the receipt tells it. */
export interface Attempt {
  readonly provider: string;
  /** HTTP status; 0 where there was none. */
  readonly status: number;
  readonly reason: string;
}

export interface Answered<T> {
  readonly target: Target;
  readonly answer: T;
  readonly attempts: readonly Attempt[];
}

interface Tries {
  readonly gateway: { readonly upstreams: Upstreams };
  readonly exchange: Outlet;
  readonly hold: OpenHold;
  readonly route: { readonly targets: readonly Target[] };
  readonly request: { readonly stream: boolean };
}

/** A provider's refusal. `final`: what the client is told, because no other offer would do better. */
class Refusal extends Error {
  readonly status: number;
  readonly final: ApiError | null;
  readonly retryAfterMs: number | null;

  constructor(
    status: number,
    message: string,
    final: ApiError | null,
    retryAfterMs: number | null,
  ) {
    super(message);
    this.status = status;
    this.final = final;
    this.retryAfterMs = retryAfterMs;
  }
}

const errorBodyBytes = 65_536;
/** What some providers say with a 400 although it is about our account with them, not about the request. */
const operatorsTrouble =
  /credit balance|billing|api key|arrearage|quota|organization|your (?:plan|account)|project .*access|user location/i;
/** Where a provider says "too many" and not for how long. */
const defaultRetryAfterMs = 5000;
/** A pooled connection may have been closed by the provider at the moment we took it: that says nothing about the provider. */
const triesOfOneOffer = 2;

/**
 * The first offer that answers.
 * @param write the request for an offer
 * @param read takes the answer; its UpstreamBroken makes the next offer be tried
 * @throws ApiError what the client is told when none does; ClientLeft; the hold's refusal
 */
export async function firstAnswer<T>(
  { gateway, exchange, hold, route, request }: Tries,
  write: (target: Target) => string,
  read: (call: UpstreamCall, target: Target) => Promise<T>,
): Promise<Answered<T>> {
  const attempts: Attempt[] = [];
  hold.attempts = attempts;
  let retryAfterMs: number | null = null;
  let unsupported: Unsupported | null = null;
  for (const target of route.targets) {
    const body = written(write, target);
    if (body instanceof Unsupported) {
      unsupported = body;
      attempts.push({ provider: target.offer.provider, status: 0, reason: body.message });
      continue;
    }
    for (let attempt = 1; attempt <= triesOfOneOffer; attempt += 1) {
      const call = gateway.upstreams.send(target, body, request.stream);
      exchange.whenLeft(() => call.abort());
      hold.whenRefused(() => call.abort());
      try {
        await call.started;
        if (call.status !== 200) throw await refusalOf(call, target);
        const answer = await read(call, target);
        exchange.answeredAt = performance.now();
        return { target, answer, attempts };
      } catch (error) {
        call.abort();
        if (hold.refused) throw hold.refused;
        if (exchange.left) throw new ClientLeft();
        attempts.push(attemptOf(target, call, error));
        if (error instanceof Refusal) {
          if (error.final) throw error.final;
          retryAfterMs ??= error.retryAfterMs;
        } else if (!(error instanceof UpstreamBroken || error instanceof Unreadable)) throw error;
        if (!(error instanceof UpstreamBroken && call.status === 0 && wasReset(error))) break;
      }
    }
  }
  // Where others were tried and failed, what this one cannot do is not the client's trouble.
  if (unsupported && attempts.every(({ reason }) => reason === unsupported.message)) {
    const { message, param } = unsupported;
    throw new ApiError('invalid_request', { message, param });
  }
  if (retryAfterMs !== null) throw new ApiError('provider_rate_limited', { retryAfterMs });
  throw new ApiError('no_provider', { cause: attempts });
}

/** The request for an offer; an Unsupported where it asks for what that cannot do. */
function written(write: (target: Target) => string, target: Target): string | Unsupported {
  try {
    return write(target);
  } catch (error) {
    if (error instanceof Unsupported) return error;
    throw error;
  }
}

function attemptOf({ offer }: Target, call: UpstreamCall, error: unknown): Attempt {
  const reason = error instanceof Error ? error.message : String(error);
  return { provider: offer.provider, status: call.status, reason: reason.slice(0, 200) };
}

/** The connection closed under the request, before a byte came back. */
function wasReset(error: UpstreamBroken): boolean {
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** What an upstream's status means for us: its 401 and 402 are the operator's trouble, never the client's. */
async function refusalOf(call: UpstreamCall, target: Target): Promise<Refusal> {
  const { status } = call;
  const body = await call.text(errorBodyBytes).catch(() => '');
  // Some providers quote the key that they were given, or the address that was asked.
  const message = [target.apiKey, target.origin, new URL(target.origin).host]
    .filter((secret) => secret !== '')
    .reduce((text, secret) => text.replaceAll(secret, '…'), messageOf(body));
  if ((status === 400 || status === 422) && !operatorsTrouble.test(message))
    return new Refusal(status, message, rejected('upstream_rejected', message), null);
  if (status === 413)
    return new Refusal(status, message, rejected('request_too_large', message), null);
  if (status === 429 && !/insufficient_quota|exceeded_current_quota|RequestsPerDay/.test(body))
    return new Refusal(
      status,
      message,
      null,
      retryAfter(call) ?? target.dialect.retryAfterMs?.(body) ?? defaultRetryAfterMs,
    );
  return new Refusal(status, message, null, null);
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

/** Seconds or a date, or Azure's milliseconds. */
function retryAfter(call: UpstreamCall): number | null {
  const ms = Number(call.header('retry-after-ms') || Number.NaN);
  if (ms >= 0) return ms;
  const text = call.header('retry-after');
  if (text === '') return null;
  const wait = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
