/** Every setting: its environment variable, parser, default and sentence. `.env.example` and docs/settings.md come from this table. */

import { resolve } from 'node:path';
import { paymentSettings } from './payment-settings.ts';
import {
  choice,
  form,
  hidden,
  integer,
  type Setting,
  SettingError,
  text,
  url,
  usd,
} from './setting.ts';

const day = 86_400_000;

export const settings = {
  mode: choice(
    'MODE',
    ['sandbox', 'live'],
    'sandbox',
    'sandbox or live. Recorded in the database at first start and fixed from then on, so that play money and real money never meet.',
  ),
  port: integer('PORT', 3000, 0, 65_535, 'Port to listen on; 0 takes any free one.'),
  host: text('HOST', '127.0.0.1', 'Address to listen on; 0.0.0.0 opens it to the network.'),
  publicUrl: url(
    'PUBLIC_URL',
    '',
    'Address that users see, such as https://akaicore.space; empty means `http://localhost:PORT`.',
  ),
  dataDir: text('DATA_DIR', './data', 'Folder for the embedded database, akai.pid and the secret.'),
  databaseUrl: text(
    'DATABASE_URL',
    '',
    'PostgreSQL 15 or newer, as postgres://user:password@host/database; empty starts the embedded PostgreSQL in DATA_DIR.',
  ),
  secret: text(
    'AKAI_SECRET',
    '',
    'Secret of at least 32 characters that signs sessions and encrypts stored secrets; empty makes one in DATA_DIR/secret. Give every process the same.',
  ),
  rateLimitRpm: integer(
    'RATE_LIMIT_RPM',
    600,
    0,
    10_000_000,
    'Requests a minute for each key; 0 switches every request limit off, for benchmarks.',
  ),
  accountRateLimitRpm: integer(
    'ACCOUNT_RATE_LIMIT_RPM',
    3000,
    1,
    10_000_000,
    'Requests a minute for each account, over all its keys.',
  ),
  accountConcurrency: integer(
    'ACCOUNT_CONCURRENCY',
    1000,
    1,
    1_000_000,
    'Requests that one account may have in flight in one process.',
  ),
  minimumBalance: usd(
    'MINIMUM_BALANCE_USD',
    '0.50',
    'A wallet whose settled balance is below this gets 402.',
  ),
  marginPercent: form(
    'MARGIN_PERCENT',
    '0',
    /^\d{1,4}(?:\.\d{1,4})?$/,
    'a percentage from 0 to 1000 with up to four decimals, such as 5.5',
    "Percent that users pay on top of the providers' prices; each price is rounded up to the pico-USD. Shown prices include it.",
  ),
  modelMargins: form(
    'MODEL_MARGINS',
    '',
    /^[a-z0-9-]+\/(?:\*|[a-z0-9.-]+)=\d{1,4}(?:\.\d{1,4})?(?:\s*,\s*[a-z0-9-]+\/(?:\*|[a-z0-9.-]+)=\d{1,4}(?:\.\d{1,4})?)*$/,
    'a list such as openai/gpt-4o=12.5,anthropic/*=5',
    'Percent for one model, or all of an author, in place of MARGIN_PERCENT, such as openai/gpt-4o=12.5,anthropic/*=5.',
  ),
  signUp: choice(
    'SIGN_UP',
    ['open', 'closed'],
    'open',
    'Whether people may make accounts for themselves; closed: only `akai user create` makes them.',
  ),
  smtpUrl: hidden(
    'SMTP_URL',
    (value) => URL.canParse(value) && /^smtps?:$/.test(new URL(value).protocol),
    'an address such as smtp://user:password@mail.example.com:587',
    'Mail server, such as smtp://user:password@mail.example.com:587 or smtps://…:465; needs TLS unless it is this machine or the address ends in ?requireTLS=false. Empty: mails wait in the outbox, which a sandbox shows at /sandbox/mail.',
  ),
  mailFrom: form(
    'MAIL_FROM',
    '',
    /^[^\r\n<>@]*<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@]+@[^\s<>@]+$/,
    'an address such as no-reply@akaicore.space or AK AI CORE <no-reply@akaicore.space>',
    'Who mails come from, such as AK AI CORE <no-reply@akaicore.space>; empty means no-reply at the host of PUBLIC_URL.',
  ),
  providerKeyLimits: text(
    'PROVIDER_KEY_LIMITS',
    '',
    'What your keys may do at their providers: providers parted by semicolons, and of each the limits of its keys in their order, parted by commas: requests a minute and, behind a slash, requests at a time, as in groq=600/20,60;openai=5000. One limit alone is that of each key. Counted by each process for itself.',
  ),
  ownKeys: choice(
    'OWN_KEYS',
    ['auto', 'on', 'off'],
    'auto',
    'Whether accounts may ask providers with keys of their own. auto: yes in live mode, and in a sandbox where the base URL of the provider is set; on: in a sandbox, too, real providers are asked with them.',
  ),
  ownKeyFeePercent: form(
    'OWN_KEY_FEE_PERCENT',
    '0',
    /^(?:100(?:\.0{1,4})?|\d{1,2}(?:\.\d{1,4})?)$/,
    'a percentage from 0 to 100 with up to four decimals, such as 5',
    "Percent of the usual prices that a request with an account's own provider key costs; 0 asks for no balance.",
  ),
  ownModels: text(
    'OWN_MODELS',
    '',
    'Path of a JSON file with models of your own, or more offers of known ones, and their prices: see docs/self-hosting.md. Read at the start.',
  ),
  bdtRate: form(
    'USD_BDT_RATE',
    '122.00',
    /^(?!0+(?:\.0+)?$)\d{1,4}(?:\.\d{1,4})?$/,
    'taka for one US dollar, with up to four decimals, such as 122.00',
    'Taka for one US dollar in quotes. For display only: payments bring rates of their own.',
  ),
  holdWaitMs: integer(
    'HOLD_WAIT_MS',
    5000,
    0,
    60_000,
    'How long, in ms, a request waits for money that other requests of its wallet hold, before 402: from the last of them that ended, and six times as long at most.',
  ),
  maxBodyBytes: integer(
    'MAX_BODY_BYTES',
    20_000_000,
    1000,
    1_000_000_000,
    'Largest request body, in bytes; above it 413.',
  ),
  maxAnswerBytes: integer(
    'MAX_ANSWER_BYTES',
    64_000_000,
    1000,
    1_000_000_000,
    'Largest JSON answer, or single event of a stream, taken from a provider, in bytes.',
  ),
  googleTokenUrl: url(
    'GOOGLE_TOKEN_URL',
    'https://oauth2.googleapis.com/token',
    'Where a service account of Google, which VERTEX_API_KEY may be as JSON in one line, gets its tokens.',
  ),
  connectTimeoutMs: integer(
    'CONNECT_TIMEOUT_MS',
    5000,
    10,
    120_000,
    'Time in ms to connect to a provider.',
  ),
  firstByteTimeoutMs: integer(
    'FIRST_BYTE_TIMEOUT_MS',
    300_000,
    10,
    3_600_000,
    'Time in ms for a provider to begin its answer.',
  ),
  firstTokenTimeoutMs: integer(
    'FIRST_TOKEN_TIMEOUT_MS',
    300_000,
    10,
    3_600_000,
    'Time in ms for a provider to begin the text of a stream, comments that keep it alive not counted.',
  ),
  idleTimeoutMs: integer(
    'IDLE_TIMEOUT_MS',
    120_000,
    10,
    3_600_000,
    'Longest silence in ms within an answer of a provider.',
  ),
  keepAliveMs: integer(
    'KEEP_ALIVE_MS',
    15_000,
    100,
    600_000,
    'After how long a silence, in ms, a stream gets a comment that keeps its connection alive; at the latest after twice as long.',
  ),
  unattendedMs: integer(
    'UNATTENDED_STREAM_MS',
    300_000,
    0,
    3_600_000,
    'How long, in ms, an answer that is kept goes on although no client reads it.',
  ),
  keptAnswerBytes: integer(
    'KEPT_ANSWER_BYTES',
    16_000_000,
    1000,
    100_000_000,
    'Largest answer that is kept for a day for its Idempotency-Key, or to be resumed, in bytes.',
  ),
  keptAccountBytes: integer(
    'KEPT_ACCOUNT_BYTES',
    200_000_000,
    1000,
    1_000_000_000_000,
    'All kept answers of one account, in bytes.',
  ),
  drainTimeoutMs: integer(
    'DRAIN_TIMEOUT_MS',
    30_000,
    0,
    600_000,
    'How long, in ms, a stopping server lets open requests finish.',
  ),
  trustedProxies: integer(
    'TRUSTED_PROXIES',
    0,
    0,
    10,
    'Number of reverse proxies in front whose x-forwarded-for is believed, counted from the right.',
  ),
  leaseMs: integer(
    'LEASE_MS',
    15_000,
    200,
    day,
    'How long, in ms, a process that cannot reach the database may go on delivering paid answers. Renewed at a third of it.',
  ),
  recoveryGraceMs: integer(
    'RECOVERY_GRACE_MS',
    30_000,
    0,
    day,
    'How long, in ms, after the end of a lease the holds of a dead process are settled by another.',
  ),
  auditIntervalMs: integer(
    'AUDIT_INTERVAL_MS',
    60_000,
    0,
    day,
    'From the end of one scheduled audit of the books to the next, in ms; of several processes one audits. 0 for none.',
  ),
  auditRows: integer(
    'AUDIT_ROWS',
    2_500_000,
    1000,
    1_000_000_000,
    'Receipts and transfers that one scheduled audit checks at most, and as many rows of payments and of vouchers; the next goes on from there.',
  ),
  probesEvery: integer(
    'PROBES_EVERY',
    0,
    0,
    10_080,
    'Minutes from one probe of every offer to the next: up to four tiny requests with your own keys, which you pay; of several processes one asks. 0 for none.',
  ),
  metricsToken: text(
    'METRICS_TOKEN',
    '',
    'Who sends it as a bearer token may read /metrics; empty lets this machine only, and only of a sandbox without PUBLIC_URL, TRUSTED_PROXIES or another HOST.',
  ),
  receiptRetentionMonths: integer(
    'RECEIPT_RETENTION_MONTHS',
    0,
    0,
    1200,
    'Whole months of requests that `akai ledger archive` leaves in the database, 2 or more; 0 keeps all.',
  ),
  ...paymentSettings,
  logLevel: choice('LOG_LEVEL', ['info', 'warn', 'error'], 'info', 'Least level that is logged.'),
} as const satisfies Record<string, Setting<string | number>>;

type Values = {
  readonly [K in keyof typeof settings]: ReturnType<(typeof settings)[K]['parse']>;
};

/** How to reach one provider; an empty field means "not set". */
export interface ProviderAccess {
  readonly apiKey: string;
  readonly baseUrl: string;
}

/** Whether requests reach the provider itself, or what the operator put in its place, and not our stand-in. */
export function isReal({ apiKey, baseUrl }: ProviderAccess): boolean {
  return apiKey !== '' || baseUrl !== '';
}

/** Whether a base URL has no part in braces left, which only the operator knows. */
export function isWhole(baseUrl: string): boolean {
  return !/[{}]/.test(baseUrl);
}

export interface Config extends Values {
  /** By provider id, for every provider of the catalogue. */
  readonly providers: ReadonlyMap<string, ProviderAccess>;
}

/** `openai` → `OPENAI_API_KEY` and `OPENAI_BASE_URL`. */
export function providerVariables(provider: string): { apiKey: string; baseUrl: string } {
  const stem = provider.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  return { apiKey: `${stem}_API_KEY`, baseUrl: `${stem}_BASE_URL` };
}

/**
 * Reads the settings.
 * @param environment variables, usually `process.env` after `.env` was read
 * @param providers ids of the catalogue's providers
 * @throws SettingError with one sentence for a value that cannot be used
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  providers: readonly string[],
): Config {
  const read = <T>(setting: Setting<T>): T => {
    const value = environment[setting.variable]?.trim();
    return value ? setting.parse(value) : setting.fallback;
  };
  const values = Object.fromEntries(
    Object.entries(settings).map(([name, setting]) => [name, read<string | number>(setting)]),
  ) as unknown as Values; // as: fromEntries loses the pairing of names and types
  const access = providers.map((id): [string, ProviderAccess] => {
    const variables = providerVariables(id);
    const baseUrl = url(variables.baseUrl, '', '');
    return [id, { apiKey: environment[variables.apiKey]?.trim() ?? '', baseUrl: read(baseUrl) }];
  });
  if (values.secret && values.secret.length < 32)
    throw new SettingError('AKAI_SECRET must have at least 32 characters.');
  return { ...values, providers: new Map(access) };
}

/** Whether only this machine reaches what listens on the host. */
export function isLoopback(host: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host);
}

/** A path of the command line, from the folder where it was typed: commands work in that of their checkout. */
export function typedPath(path: string): string {
  const { INIT_CWD = '' } = process.env;
  return resolve(INIT_CWD, path);
}

/** The environment of this process; `typedPath` aside the only place that reads it. */
export function processEnvironment(): Readonly<Record<string, string | undefined>> {
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  return process.env;
}
