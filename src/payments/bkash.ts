/**
 * bKash: Tokenized Checkout by URL. Its customer confirms on bKash's page, which moves nothing; our `execute` takes the money,
 * once. Whatever that answers, or does not, the truth is what `query` says.
 */

import type { Config } from '../config.ts';
import type { SandboxBkash } from '../sandbox/bkash.ts';
import { bkashAgreements } from './bkash_agreements.ts';
import type { BkashAnswer } from './bkash_answer.ts';
import { type BkashAccess, BkashApi, type TokenSource, TokenUnavailable } from './bkash_api.ts';
import { meaningOf } from './bkash_codes.ts';
import { openAtBkash, saleOf } from './bkash_open.ts';
import { bkashRefunds } from './bkash_refunds.ts';
import { BkashNotifications, fetchBounded, type NotificationSettings } from './bkash_sns.ts';
import {
  bareTruth,
  type Claim,
  type Evidence,
  type PaymentFacts,
  type PaymentMethod,
  ProviderSilent,
  type Truth,
} from './method.ts';
import { paisa } from './taka.ts';

/** What differs between installations. */
export interface BkashSettings {
  readonly mode: 'sandbox' | 'live';
  readonly access: BkashAccess;
  readonly notifications: NotificationSettings;
  /** Days after a payment in which bKash refunds it. */
  readonly refundDays: number;
}

const minute = 60_000;

/** What must be known of the stand-in. */
export type StandInBkash = Pick<SandboxBkash, 'baseUrl' | 'credentials'> & {
  readonly sns: Pick<NotificationSettings, 'topicArn' | 'fetchText'>;
};

/** @param standIn of a sandbox; taken where no other address is set */
export function bkashSettingsOf(config: Config, standIn: StandInBkash | null): BkashSettings {
  const generation = config.bkashGeneration;
  const shared = { mode: config.mode, refundDays: config.bkashRefundDays };
  if (standIn && config.bkashBaseUrl === '')
    return {
      ...shared,
      access: { ...standIn.credentials, baseUrl: standIn.baseUrl(generation), generation },
      notifications: {
        topicArn: standIn.sns.topicArn,
        confirmSubscription: true,
        fetchText: standIn.sns.fetchText,
      },
    };
  return {
    ...shared,
    access: {
      baseUrl: config.bkashBaseUrl,
      generation,
      username: config.bkashUsername,
      password: config.bkashPassword,
      appKey: config.bkashAppKey,
      appSecret: config.bkashAppSecret,
    },
    notifications: {
      topicArn: config.bkashTopicArn,
      confirmSubscription: config.bkashConfirmSubscription === 'yes',
      fetchText: fetchBounded,
    },
  };
}

/** @param tokens a BkashTokens of the same access */
export function bkash(settings: BkashSettings, tokens: TokenSource): Required<PaymentMethod> {
  const api = new BkashApi(settings.access, tokens);
  const notifications = new BkashNotifications(settings.notifications);
  const why = whyNoBkash(settings);
  return {
    id: 'bkash',
    name: 'bKash',
    available: why === null ? true : { why },
    least: paisa(100),
    most: paisa(10_000_000),
    openForMs: 24 * 60 * minute,
    pollAfterMs: [2, 2, 4, 8, 15, 30, 60].map((minutes) => minutes * minute),
    open: (payment, payer, addresses) => {
      const sale = saleOf(payment, payer, addresses);
      return openAtBkash(api, 'create', { mode: '0011', ...sale }, payment);
    },
    claimOf,
    ask: (payment) => asked(api, payment),
    capture: (payment) => captured(api, payment),
    search: (trxId) => searched(api, trxId),
    webhook: (body, headers) => notifications.read(body, headers),
    ...bkashRefunds(api, settings.refundDays),
    agreements: bkashAgreements(api),
  };
}

/** Why bKash may not be used, for the operator; null where it may. Play money and real money must not meet. */
export function whyNoBkash({
  mode,
  access,
}: Pick<BkashSettings, 'mode' | 'access'>): string | null {
  const missing = [
    ['BKASH_BASE_URL', access.baseUrl],
    ['BKASH_USERNAME', access.username],
    ['BKASH_PASSWORD', access.password],
    ['BKASH_APP_KEY', access.appKey],
    ['BKASH_APP_SECRET', access.appSecret],
  ].filter(([, value]) => value === '');
  if (missing.length > 0) return `${missing.map(([name]) => name).join(', ')} must be set.`;
  const { hostname, protocol } = new URL(access.baseUrl);
  const isHere = /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname);
  const isSandbox = isHere || hostname.split(/[.-]/).includes('sandbox');
  if (mode === 'sandbox')
    return isSandbox ? null : `BKASH_BASE_URL leads to ${hostname}, which is not bKash's sandbox.`;
  if (isSandbox) return `BKASH_BASE_URL leads to the sandbox ${hostname}, but MODE is live.`;
  return protocol === 'https:' ? null : 'BKASH_BASE_URL must begin with https.';
}

const claims: Readonly<Record<string, Claim['claims']>> = {
  success: 'paid',
  cancel: 'cancelled',
  failure: 'failed',
};

function claimOf(returned: URLSearchParams): Claim {
  return {
    claims: claims[returned.get('status')?.toLowerCase() ?? ''] ?? 'unknown',
    providerId: returned.get('paymentID') ?? returned.get('paymentId'),
    nonce: returned.get('signature'),
  };
}

/** What is known where nothing was heard. @throws what is no failure of the provider */
function silence(error: unknown): Truth {
  if (error instanceof TokenUnavailable) return bareTruth('unknown', error.message, error.evidence);
  if (error instanceof ProviderSilent)
    return bareTruth('unknown', 'bKash did not answer', error.evidence);
  throw error;
}

async function asked(api: BkashApi, { providerId }: PaymentFacts): Promise<Truth> {
  if (providerId === null) return unopened('query');
  try {
    const answer = await api.call('query', api.ids({ payment: providerId }));
    return answer.succeeded ? answer.truth() : undecided(answer, null);
  } catch (error) {
    return silence(error);
  }
}

async function captured(api: BkashApi, payment: PaymentFacts): Promise<Truth> {
  if (payment.providerId === null) return unopened('execute');
  let answer: BkashAnswer;
  try {
    answer = await execute(api, payment.providerId, payment.nonce);
  } catch (error) {
    return silence(error);
  }
  if (answer.succeeded) return answer.truth();
  // What is not certainly refused may have happened: who called asks.
  if (answer.code === null) return undecided(answer, null);
  const meaning = meaningOf(answer.code);
  if (meaning.state === 'unknown') return undecided(answer, meaning.says);
  const truth = await asked(api, payment);
  const evidence = both(answer.evidence, truth.evidence);
  if (truth.state === 'paid' || truth.state === 'unknown') return { ...truth, evidence };
  return { ...truth, state: 'failed', reason: meaning.says, evidence };
}

/** @param nonce of a payment by agreement: the id of the agreement */
function execute(api: BkashApi, providerId: string, nonce: string | null): Promise<BkashAnswer> {
  const byAgreement = providerId.startsWith('TR0001') && nonce !== null;
  return api.generation === 'v2' && byAgreement
    ? api.call('executeCharge', api.ids({ payment: providerId, agreement: nonce }))
    : api.call('execute', api.ids({ payment: providerId }));
}

async function searched(api: BkashApi, trxId: string): Promise<Truth> {
  const ids = api.ids({ trx: trxId.trim().toUpperCase() });
  try {
    const first = await api.call('search', ids);
    const isPath = api.generation === 'v1' && first.refusedByGateway && first.httpStatus !== 401;
    const answer = isPath ? await api.call('searchOther', ids) : first;
    if (answer.succeeded) return answer.truth();
    const none = answer.code === '2033' || answer.code === '2002';
    const said = undecided(answer, none ? 'bKash knows no such transaction of our account' : null);
    return none ? { ...said, absent: true } : said;
  } catch (error) {
    return silence(error);
  }
}

/** An answer that is no success decides nothing about a payment. */
function undecided({ evidence }: BkashAnswer, reason: string | null): Truth {
  return bareTruth('unknown', reason ?? 'bKash did not say where the payment stands', evidence);
}

function unopened(operation: string): Truth {
  const evidence = { operation, httpStatus: null, ms: 0, code: null, body: null };
  return bareTruth('unknown', 'the payment was not opened at bKash', evidence);
}

function both(first: Evidence, second: Evidence): Evidence {
  return {
    ...first,
    ms: first.ms + second.ms,
    body: { [first.operation]: first.body, [second.operation]: second.body },
  };
}
