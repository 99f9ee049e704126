/** Two installations in which every status of the contract can be met: what the SDKs and the documentation are tried against. */

import assert from 'node:assert/strict';
import { type NewKey, revokeKey } from '../src/accounts/keys.ts';
import { connect } from '../src/db/connection.ts';
import { findPlace, socketPath } from '../src/db/place.ts';
import { openBooks } from './books.ts';
import { anotherKey, makeCustomer } from './customer.ts';
import { type Installation, startInstallation } from './installation.ts';

/** How to meet a status: where, and with which key. */
export interface Trouble {
  readonly baseUrl: string;
  readonly key: string;
}

/** Its end proves the books of both. */
export interface Scene extends AsyncDisposable {
  readonly main: Installation;
  /** 5 requests a minute, small bodies, and a real provider that nobody answers for. */
  readonly strict: Installation;
  readonly troubles: Readonly<Record<TroubleName, Trouble>>;
  /** From here on every request to `strict` fails inside. */
  breakStrict(): Promise<void>;
}

type TroubleName =
  | 'good'
  | 'typo'
  | 'revoked'
  | 'expired'
  | 'missing'
  | 'poor'
  | 'foreign'
  | 'large'
  | 'limited'
  | 'down'
  | 'broken';

const strictSettings = {
  RATE_LIMIT_RPM: '5',
  MAX_BODY_BYTES: '20000',
  OPENAI_API_KEY: 'nobody-asks-for-it',
  // The discard port: nothing listens there.
  OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
};

/** The key with its last character changed, so that its checksum is wrong. */
function withTypo(key: string): string {
  return key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
}

/** The least that is served is half a dollar. */
const lessThanIsServed = '0.49';

export async function startScene(): Promise<Scene> {
  const [main, strict] = await Promise.all([
    startInstallation(),
    startInstallation({ env: strictSettings }),
  ]);
  await using mainBooks = await openBooks(main);
  await using strictBooks = await openBooks(strict);
  const keyOf = async (more: Partial<NewKey> = {}): Promise<string> =>
    (await anotherKey(mainBooks.sql, main.email, more)).key;
  const strictKey = async (): Promise<string> =>
    (await anotherKey(strictBooks.sql, strict.email)).key;
  const revoked = await anotherKey(mainBooks.sql, main.email);
  await revokeKey(mainBooks.sql, revoked.id);
  const here = (key: string): Trouble => ({ baseUrl: main.baseUrl, key });
  const there = (key: string): Trouble => ({ baseUrl: strict.baseUrl, key });
  const troubles = {
    good: here(main.key),
    typo: here(withTypo(main.key)),
    revoked: here(revoked.key),
    expired: here(await keyOf({ expiresAt: new Date('2020-01-01') })),
    missing: here(''),
    poor: here((await makeCustomer(mainBooks.sql, lessThanIsServed)).key),
    foreign: here(await keyOf({ allowedNetworks: ['203.0.113.0/24'] })),
    large: there(await strictKey()),
    limited: there(await strictKey()),
    down: there(await strictKey()),
    broken: there(await strictKey()),
  };
  const dispose = async (): Promise<void> => {
    const reports = Promise.all([main.akai('audit'), strict.akai('audit')]);
    // The one that is broken on purpose has lost nothing either.
    for (const report of await reports.finally(() => Promise.all([main.remove(), strict.remove()])))
      assert.equal(report.ok, true, JSON.stringify(report));
  };
  return {
    main,
    strict,
    troubles,
    breakStrict: () => breakLedger(strict),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Takes away the function that every request needs: a failure that no program expects. */
async function breakLedger({ dataDir }: Installation): Promise<void> {
  const owner = connect(
    { path: socketPath(await findPlace(dataDir, () => {})) },
    { max: 1, name: 'test' },
  );
  try {
    await owner`ALTER FUNCTION ledger_apply RENAME TO ledger_apply_away`;
  } finally {
    await owner.end();
  }
}

/** What each trouble answers to a chat request; the class is the SDK's. */
export interface Failure {
  readonly trouble: TroubleName;
  readonly status: number;
  readonly code: string;
  /** Beginning of the sentence. */
  readonly says: string;
  readonly exception: string;
  /** Members of the request beside model and messages. */
  readonly request?: Readonly<Record<string, unknown>>;
  /** How often to ask until it happens. */
  readonly tries?: number;
}

/** `broken` last: nothing works there afterwards. */
export const failures: readonly Failure[] = [
  {
    trouble: 'good',
    status: 400,
    code: 'invalid_request',
    says: '"temperature" must be',
    exception: 'BadRequestError',
    request: { temperature: 3 },
  },
  {
    trouble: 'good',
    status: 400,
    code: 'invalid_request',
    says: '"messages" must not be empty',
    exception: 'BadRequestError',
    request: { messages: [] },
  },
  {
    trouble: 'good',
    status: 404,
    code: 'model_not_found',
    says: 'Model not found: openai/gpt-5-imaginary',
    exception: 'NotFoundError',
    request: { model: 'openai/gpt-5-imaginary' },
  },
  {
    trouble: 'missing',
    status: 401,
    code: 'missing_api_key',
    says: 'Missing API key',
    exception: 'AuthenticationError',
  },
  {
    trouble: 'typo',
    status: 401,
    code: 'invalid_api_key',
    says: 'Invalid API key',
    exception: 'AuthenticationError',
  },
  {
    trouble: 'revoked',
    status: 401,
    code: 'revoked_api_key',
    says: 'This API key has been revoked',
    exception: 'AuthenticationError',
  },
  {
    trouble: 'expired',
    status: 401,
    code: 'expired_api_key',
    says: 'This API key has expired',
    exception: 'AuthenticationError',
  },
  {
    trouble: 'poor',
    status: 402,
    code: 'insufficient_credits',
    says: 'Insufficient credits. Please top up your account.',
    exception: 'APIError',
  },
  {
    trouble: 'foreign',
    status: 403,
    code: 'ip_not_allowed',
    says: 'Your IP address is not in the allowlist',
    exception: 'PermissionDeniedError',
  },
  {
    trouble: 'large',
    status: 413,
    code: 'request_too_large',
    says: 'The request is too large',
    exception: 'APIError',
    request: { user: 'x'.repeat(30_000) },
  },
  {
    trouble: 'limited',
    status: 429,
    code: 'rate_limit_exceeded',
    says: 'Rate limit exceeded',
    exception: 'RateLimitError',
    tries: 8,
  },
  {
    trouble: 'down',
    status: 503,
    code: 'no_provider',
    says: 'No active providers available to route the request.',
    exception: 'InternalServerError',
  },
  {
    trouble: 'broken',
    status: 500,
    code: 'internal_error',
    says: 'Unexpected server failure',
    exception: 'InternalServerError',
    // A model of another provider, for which the sandbox stands in.
    request: { model: 'anthropic/claude-haiku-5.5' },
  },
];
