/** The calls of bKash's tokenized checkout, in both generations of its API. One call each: only a refused token is renewed, once. */
import { BkashAnswer, codeOf, redacted, redactedText } from './bkash_answer.ts';
import { type Evidence, ProviderSilent } from './method.ts';
import { callProvider, type ProviderAnswer } from './provider_http.ts';

export type BkashGeneration = 'v1' | 'v2';

/** How to reach bKash, and as whom. */
export interface BkashAccess {
  /** With the version in its path, such as `https://tokenized.pay.bka.sh/v1.2.0-beta`. */
  readonly baseUrl: string;
  readonly generation: BkashGeneration;
  readonly username: string;
  readonly password: string;
  readonly appKey: string;
  readonly appSecret: string;
}

/** Where a valid token comes from; both throw TokenUnavailable. */
export interface TokenSource {
  current(): Promise<string>;
  /** Another one than that which bKash has just refused. */
  after(rejected: string): Promise<string>;
}

/** There is no token, so that nothing was asked and nothing has moved. `message` is for people. */
export class TokenUnavailable extends Error {
  /** When a token may be asked for again; null where that would not help. */
  readonly until: Date | null;
  readonly evidence: Evidence;
  constructor(message: string, until: Date | null, evidence: Evidence) {
    super(message);
    this.name = 'TokenUnavailable';
    this.until = until;
    this.evidence = evidence;
  }
}

/** Paths below the base URL: v1, v2. Those of agreements in v2 are known from one integrator only. */
const paths = {
  grant: ['/tokenized/checkout/token/grant', '/auth/grant-token'],
  refresh: ['/tokenized/checkout/token/refresh', '/auth/refresh-token'],
  create: ['/tokenized/checkout/create', '/payment/create'],
  execute: ['/tokenized/checkout/execute', '/payment/execute'],
  query: ['/tokenized/checkout/payment/status', '/query/payment'],
  search: ['/tokenized/checkout/general/searchTransaction', '/general/search-transaction'],
  /** As some spell it. */
  searchOther: ['/tokenized/checkout/general/searchTran', '/general/search-transaction'],
  agree: ['/tokenized/checkout/create', '/agreement/create'],
  conclude: ['/tokenized/checkout/execute', '/agreement/execute'],
  agreement: ['/tokenized/checkout/agreement/status', '/query/agreement'],
  cancelAgreement: ['/tokenized/checkout/agreement/cancel', '/agreement/cancel'],
  charge: ['/tokenized/checkout/create', '/payment-with-agreement/create'],
  executeCharge: ['/tokenized/checkout/execute', '/payment-with-agreement/execute'],
} as const;

/** Refunds are of the second generation for every merchant, and lie at the origin. */
const refundPaths = {
  refund: '/v2/tokenized-checkout/refund/payment/transaction',
  refundStatus: '/v2/tokenized-checkout/refund/payment/status',
} as const;

type Operation = keyof typeof paths | keyof typeof refundPaths;

function addressOf({ baseUrl, generation }: BkashAccess, operation: Operation): string {
  if (operation === 'refund' || operation === 'refundStatus')
    return new URL(baseUrl).origin + refundPaths[operation];
  return baseUrl + paths[operation][generation === 'v1' ? 0 : 1];
}

const jsonHeaders = { 'Content-Type': 'application/json', Accept: 'application/json' };

/**
 * Asks for a token; counts nothing, which is bkash_tokens.ts' duty.
 * @param refreshToken null grants a new one
 * @throws ProviderSilent
 */
export async function callForToken(
  access: BkashAccess,
  refreshToken: string | null,
): Promise<ProviderAnswer> {
  const operation = refreshToken === null ? 'grant' : 'refresh';
  return send(access, operation, {
    headers: { username: access.username, password: access.password },
    body: {
      app_key: access.appKey,
      app_secret: access.appSecret,
      ...(refreshToken === null ? {} : { refresh_token: refreshToken }),
    },
  });
}

export class BkashApi {
  readonly #access: BkashAccess;
  readonly #tokens: TokenSource;

  constructor(access: BkashAccess, tokens: TokenSource) {
    this.#access = access;
    this.#tokens = tokens;
  }

  get generation(): BkashGeneration {
    return this.#access.generation;
  }

  /** `{ paymentID }` or `{ paymentId }`: how this generation spells the ids that it is asked with. */
  ids(named: Readonly<Partial<Record<'payment' | 'trx' | 'agreement', string>>>) {
    const ending = this.generation === 'v1' ? 'ID' : 'Id';
    return Object.fromEntries(Object.entries(named).map(([name, id]) => [name + ending, id]));
  }

  /**
   * A token that is refused (401 of the gateway in front of bKash, which has then not seen the call) is renewed once.
   * @throws ProviderSilent, TokenUnavailable
   */
  async call(
    operation: Exclude<Operation, 'grant' | 'refresh'>,
    body: Readonly<Record<string, unknown>>,
  ): Promise<BkashAnswer> {
    const token = await this.#tokens.current();
    const first = await this.#ask(operation, body, token);
    if (first.httpStatus !== 401 || first.code !== null) return first;
    return this.#ask(operation, body, await this.#tokens.after(token));
  }

  async #ask(
    operation: Exclude<Operation, 'grant' | 'refresh'>,
    body: Readonly<Record<string, unknown>>,
    token: string,
  ): Promise<BkashAnswer> {
    const headers = { Authorization: token, 'X-App-Key': this.#access.appKey };
    const answer = await send(this.#access, operation, { headers, body });
    const coded = this.generation === 'v1' && !(operation in refundPaths);
    return new BkashAnswer(answer, coded);
  }
}

async function send(
  access: BkashAccess,
  operation: Operation,
  {
    headers,
    body,
  }: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Readonly<Record<string, unknown>>;
  },
): Promise<ProviderAnswer> {
  try {
    return await callProvider(
      {
        operation,
        method: 'POST',
        url: addressOf(access, operation),
        headers: { ...jsonHeaders, ...headers },
        body: JSON.stringify(body),
        redact: redacted,
      },
      codeOf,
    );
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    // The beginning of an answer that broke off may hold what a whole one would have been cleaned of.
    const { evidence } = error;
    throw new ProviderSilent(error.message, { ...evidence, body: redactedText(evidence.body) });
  }
}
