/** Every error that a client can meet: code, status, public sentence; one class; rendered in one place. */

export const errors = {
  invalid_json: [400, 'The request body is not valid JSON.'],
  invalid_request: [400, 'The request is not valid.'],
  invalid_link: [400, 'This link was used already, or is too old. Ask for a new one.'],
  upstream_rejected: [400, 'The provider refused the request.'],
  missing_api_key: [401, 'Missing API key. Send it as "Authorization: Bearer sk-or-…".'],
  invalid_api_key: [401, 'Invalid API key.'],
  revoked_api_key: [401, 'This API key has been revoked.'],
  expired_api_key: [401, 'This API key has expired.'],
  missing_session: [401, 'Missing session cookie, or the session has ended. Please sign in.'],
  wrong_credentials: [401, 'The e-mail address or the password is wrong.'],
  insufficient_credits: [402, 'Insufficient credits. Please top up your account.'],
  own_key_unpaid: [
    402,
    'The provider says that the account of your own key has no money or quota left.',
  ],
  own_key_rejected: [403, 'The provider did not accept your own key.'],
  own_key_unusable: [403, 'Your own key for this provider cannot be used.'],
  ip_not_allowed: [403, 'Your IP address is not in the allowlist of this API key.'],
  payment_limit: [403, 'A limit of payments is reached.'],
  admin_only: [403, 'Only administrators may do this.'],
  user_mismatch: [403, 'This belongs to another account.'],
  foreign_origin: [403, 'This request does not come from a page of this site.'],
  sign_up_closed: [403, 'Sign-up is closed. Ask the operator for an account.'],
  webhook_refused: [403, 'This notification cannot be believed.'],
  model_not_found: [404, 'Model not found.'],
  no_allowed_provider: [404, 'No allowed providers are available for this request.'],
  not_found: [404, 'Not found.'],
  voucher_unknown: [404, 'There is no such voucher.'],
  payment_not_credited: [409, 'This payment has not been credited.'],
  agreement_exists: [409, 'There is an agreement already. End it first.'],
  agreement_missing: [409, 'There is no agreement to pay by. Make one first.'],
  voucher_refused: [409, 'This voucher cannot be redeemed.'],
  email_registered: [409, 'Email already registered.'],
  payment_conflict: [409, 'The payment is not in a state that allows this.'],
  idempotency_key_reused: [409, 'This Idempotency-Key was used for another request.'],
  answer_too_large: [409, 'The answer to this request was too large to be kept.'],
  stream_cancelled: [409, 'This request was cancelled before its answer began.'],
  stream_interrupted: [410, 'This stream was interrupted for good. Send the request again.'],
  request_too_large: [413, 'The request is too large.'],
  rate_limit_exceeded: [429, 'Rate limit exceeded. Slow down and retry.'],
  too_many_requests_in_flight: [429, 'Too many requests in flight. Wait for some to finish.'],
  too_many_attempts: [429, 'Too many attempts. Wait a while, then try again.'],
  provider_rate_limited: [429, 'The provider is rate limiting this model. Retry later.'],
  own_key_rate_limited: [429, 'The provider is rate limiting your own key. Retry later.'],
  internal_error: [500, 'Unexpected server failure. Contact support if it persists.'],
  no_provider: [503, 'No active providers available to route the request.'],
  payment_method_unavailable: [503, 'This way to pay is not available at the moment.'],
  payment_provider_failed: [503, 'The payment provider could not begin the payment.'],
  database_unavailable: [503, 'The service is temporarily unavailable. Retry shortly.'],
  starting: [503, 'This server is starting. Retry shortly.'],
  shutting_down: [503, 'This server is restarting. Retry shortly.'],
} as const satisfies Record<string, readonly [status: number, sentence: string]>;

export type ErrorCode = keyof typeof errors;

interface ErrorOptions {
  /** Public sentence, when more can be said than the table's. */
  readonly message?: string;
  /** Name of the request field at fault. */
  readonly param?: string;
  /** When a retry may succeed, in ms from now. */
  readonly retryAfterMs?: number;
  /** Members that programs may read, shown beside `code`. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** For the log only; never leaves. */
  readonly cause?: unknown;
}

/** Every 402 says whose limit it was. */
const limitSources: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  insufficient_credits: { limit_source: 'wallet' },
  own_key_unpaid: { limit_source: 'own_key' },
};

/** Thrown anywhere, rendered once. `message` is public. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly param: string | null;
  readonly retryAfterMs: number | null;
  readonly details: Readonly<Record<string, unknown>> | null;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.message ?? errors[code][1], { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.status = errors[code][0];
    this.param = options.param ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.details = options.details ?? limitSources[code] ?? null;
  }
}

/** For what failed only because the database is away: it may succeed a moment later. */
export function databaseUnavailable(cause: unknown): ApiError {
  return new ApiError('database_unavailable', { cause, retryAfterMs: 2000 });
}

/** `text`: the documented `{"error": "…"}`; `object`: OpenAI's `{"error": {"message", …}}`, on request. */
export type ErrorFormat = 'text' | 'object';

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_credits',
  403: 'permission_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
};

/** OpenAI's error object; also what a broken stream carries in either format, because no SDK can read a string there. */
export function errorObject(error: ApiError): Record<string, unknown> {
  const type = types[error.status] ?? 'invalid_request_error';
  return { message: error.message, type, param: error.param, code: error.code, ...error.details };
}

/** The JSON body of an error answer. */
export function errorBody(error: ApiError, requestId: string, format: ErrorFormat): string {
  if (format === 'object')
    return JSON.stringify({ error: errorObject(error), request_id: requestId });
  const { message, code, param } = error;
  return JSON.stringify({
    error: message,
    code,
    ...(param === null ? {} : { param }),
    ...error.details,
    request_id: requestId,
  });
}

/** Headers of an error answer; `x-should-retry` stops SDKs from repeating what a retry cannot mend. */
export function errorHeaders(error: ApiError): Record<string, string> {
  const retryable = error.status === 429 || error.status >= 500;
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-error-code': error.code,
    'x-should-retry': String(retryable),
  };
  if (error.retryAfterMs !== null) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
    headers['retry-after-ms'] = String(Math.max(1, Math.ceil(error.retryAfterMs)));
  }
  return headers;
}
