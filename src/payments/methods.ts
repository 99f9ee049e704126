/** Every payment method, built from the settings; in a sandbox, where a provider is not set up, with its stand-in. */
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { bkash, bkashSettingsOf, type StandInBkash } from './bkash.ts';
import { BkashTokens } from './bkash_tokens.ts';
import { manual, manualAccounts } from './manual.ts';
import type { MethodId, PaymentMethod } from './method.ts';
import { nagad } from './nagad.ts';
import type { StandIns } from './stand_ins.ts';
import { uddoktapay } from './uddoktapay.ts';

/**
 * @param sql where tokens of providers are kept, encrypted with the installation's `secret`
 * @param standIns null in live mode, and where no server has started them
 */
export function methodsOf(
  config: Config,
  sql: Sql,
  secret: string,
  standIns: StandIns | null,
): ReadonlyMap<MethodId, PaymentMethod> {
  const methods = [
    bkashOf(config, sql, secret, standIns?.bkash ?? null),
    nagadOf(config, standIns?.nagad ?? null),
    uddoktapayOf(config, standIns?.uddoktapay ?? null),
    manual({ accounts: manualAccounts(config.manualPayments) }),
  ];
  return new Map(methods.map((method) => [method.id, method]));
}

function bkashOf(
  config: Config,
  sql: Sql,
  secret: string,
  standIn: StandInBkash | null,
): PaymentMethod {
  const settings = bkashSettingsOf(config, standIn);
  return bkash(settings, new BkashTokens({ sql, secret, access: settings.access }));
}

function nagadOf(config: Config, standIn: StandIns['nagad'] | null): PaymentMethod {
  const own = {
    mode: config.mode,
    signature: config.nagadSignature,
    refundApi: config.nagadRefundApi === 'on',
    fallbackIp: config.nagadFallbackIp,
  };
  if (standIn && !config.nagadBaseUrl && !config.nagadMerchantId)
    return nagad({ ...own, ...standIn, refundApi: true });
  return nagad({
    ...own,
    baseUrl: config.nagadBaseUrl,
    merchantId: config.nagadMerchantId,
    merchantNumber: config.nagadMerchantNumber,
    keys: { publicKey: config.nagadPublicKey, privateKey: config.nagadPrivateKey },
  });
}

function uddoktapayOf(config: Config, standIn: StandIns['uddoktapay'] | null): PaymentMethod {
  const { mode } = config;
  if (standIn && !config.uddoktapayUrl) return uddoktapay({ mode, ...standIn, refunds: true });
  return uddoktapay({
    mode,
    baseUrl: config.uddoktapayUrl,
    apiKey: config.uddoktapayKey,
    refunds: config.uddoktapayRefunds === 'on',
  });
}
