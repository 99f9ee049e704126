/**
 * Nagad's online payment gateway: initialize, complete, the payer pays on Nagad's page, verify.
 * The payer's PIN moves the money; here it is only asked about. Facts from public integrations; Nagad publishes no reference.
 */

import { SettingError } from '../setting.ts';
import {
  bareTruth,
  type Evidence,
  type Opened,
  type Payer,
  type PaymentFacts,
  type PaymentMethod,
  ProviderRefused,
  ProviderSilent,
  type ReturnAddresses,
  type Truth,
} from './method.ts';
import { claimOf, truthIn } from './nagad_answer.ts';
import { complete, initialize, type NagadAccess, verifyPayment } from './nagad_api.ts';
import { type NagadKeys, type NagadKeyTexts, readKeys } from './nagad_crypto.ts';
import { refunds } from './nagad_refund.ts';
import { formatTaka, paisa } from './taka.ts';

export interface NagadSettings {
  readonly mode: 'sandbox' | 'live';
  /** Without a slash at its end. Empty: Nagad's own in live mode, nothing to ask in a sandbox. */
  readonly baseUrl: string;
  readonly merchantId: string;
  /** National form; empty sends none. */
  readonly merchantNumber: string;
  /** A function where they are made only when first needed, as the stand-in's are. */
  readonly keys: NagadKeyTexts | (() => Promise<NagadKeyTexts>);
  readonly signature: NagadKeys['hash'];
  readonly refundApi: boolean;
  /** IPv4 that stands for payers without a public one; live mode needs it. */
  readonly fallbackIp: string;
  /** Of one call; ms. Left out: what all methods have. */
  readonly timeoutMs?: number;
  readonly now?: () => Date;
}

const liveUrl = 'https://api.mynagad.com/api/dfs';
const minute = 60_000;
const hour = 60 * minute;

/** @throws SettingError where play money and real money could meet, or where answers could be forged on their way */
function checkBaseUrl(mode: NagadSettings['mode'], baseUrl: string): void {
  const { protocol, hostname } = new URL(baseUrl);
  const sandboxHost = /^sandbox.*\.mynagad\.com$/.test(hostname);
  const liveHost = /(?:^|\.)mynagad\.com$/.test(hostname) && !sandboxHost;
  if (mode === 'sandbox' && liveHost)
    throw new SettingError(
      `NAGAD_BASE_URL names Nagad's live server (${hostname}), and this is a sandbox: leave it empty.`,
    );
  if (mode === 'live' && sandboxHost)
    throw new SettingError(
      `NAGAD_BASE_URL names Nagad's sandbox (${hostname}), and this installation is live.`,
    );
  if (mode === 'live' && protocol !== 'https:')
    throw new SettingError(
      'NAGAD_BASE_URL must begin with https:// in live mode: what Nagad says of a payment is not signed.',
    );
}

/** Variables that are missing, by name. */
function missingIn(settings: NagadSettings, baseUrl: string): string[] {
  const { keys, mode } = settings;
  const texts = typeof keys === 'function' ? null : keys;
  const needed: readonly [variable: string, value: string][] = [
    ['NAGAD_BASE_URL', baseUrl],
    ['NAGAD_MERCHANT_ID', settings.merchantId],
    ['NAGAD_PUBLIC_KEY', texts?.publicKey ?? 'made later'],
    ['NAGAD_PRIVATE_KEY', texts?.privateKey ?? 'made later'],
    ['NAGAD_FALLBACK_IP', mode === 'live' ? settings.fallbackIp : 'any'],
  ];
  return needed.filter(([, value]) => value === '').map(([variable]) => variable);
}

/** Reads given keys now, so that a wrong one stops the start; those made later once, when they are first needed. */
function keyReader({ keys, signature }: NagadSettings): () => Promise<NagadKeys> {
  if (typeof keys !== 'function') {
    const read = readKeys(keys, signature);
    return () => Promise.resolve(read);
  }
  let made: Promise<NagadKeys> | null = null;
  return () => (made ??= keys().then((texts) => readKeys(texts, signature)));
}

async function open(
  access: NagadAccess,
  payment: PaymentFacts,
  payer: Payer,
  { callback }: ReturnAddresses,
): Promise<Opened> {
  if (!/^[A-Za-z0-9]{1,20}$/.test(payment.invoice))
    throw new Error(`Nagad takes no invoice like ${payment.invoice}`);
  if (new URL(callback).search !== '')
    throw new Error('Nagad is not known to keep the query of a callback address');
  const order = { orderId: payment.invoice, amount: formatTaka(payment.amount), callback };
  const begun = await initialize(access, payment.invoice, payer);
  const { url, evidence } = await complete(access, begun, order, payer);
  return {
    providerId: begun.reference,
    redirectUrl: url,
    nonce: null,
    evidence: {
      ...evidence,
      ms: begun.evidence.ms + evidence.ms,
      body: { initialize: begun.evidence.body, complete: evidence.body },
    },
  };
}

async function ask(access: NagadAccess, payment: PaymentFacts): Promise<Truth> {
  const unasked: Evidence = {
    operation: 'verify',
    httpStatus: null,
    ms: 0,
    code: null,
    body: null,
  };
  if (payment.providerId === null)
    return bareTruth('unknown', 'The payment was never opened at Nagad.', unasked);
  try {
    return truthIn(await verifyPayment(access, payment.providerId), access.merchantId);
  } catch (error) {
    if (!(error instanceof ProviderSilent)) throw error;
    return bareTruth('unknown', 'Nagad gave no answer that can be understood.', error.evidence);
  }
}

/** @throws SettingError for an address or a key that cannot be used */
export function nagad(settings: NagadSettings): PaymentMethod {
  const baseUrl = settings.baseUrl || (settings.mode === 'live' ? liveUrl : '');
  if (baseUrl !== '') checkBaseUrl(settings.mode, baseUrl);
  const missing = missingIn(settings, baseUrl);
  const why = `Nagad needs ${missing.join(', ')}.`;
  const unavailable = (): never => {
    throw new ProviderRefused('Nagad is not available here. Pay in another way.', {
      operation: 'initialize',
      httpStatus: null,
      ms: 0,
      code: null,
      body: { why },
    });
  };
  const access: NagadAccess = {
    baseUrl,
    merchantId: settings.merchantId,
    merchantNumber: settings.merchantNumber,
    keys: missing.length > 0 ? async () => unavailable() : keyReader(settings),
    fallbackIp: settings.fallbackIp || '127.0.0.1',
    timeoutMs: settings.timeoutMs,
    now: settings.now ?? (() => new Date()),
  };
  return {
    id: 'nagad',
    name: 'Nagad',
    available: missing.length > 0 ? { why } : true,
    // Nagad publishes neither; a wallet's own ceiling shows as a failed payment.
    least: paisa(100),
    most: paisa(50_000_000),
    // A session of its page ends sooner; a payment of its last minute may still be told of a day later.
    openForMs: 24 * hour + 10 * minute,
    // Nagad pushes nothing: 15 s, 1, 3, 10, 30 min and 2 h after the opening, then every two hours.
    pollAfterMs: [
      minute / 4,
      (3 * minute) / 4,
      2 * minute,
      7 * minute,
      20 * minute,
      90 * minute,
      2 * hour,
    ],
    open: (payment, payer, addresses) => open(access, payment, payer, addresses),
    claimOf,
    ask: (payment) => ask(access, payment),
    ...(settings.refundApi ? refunds(access) : {}),
  };
}
