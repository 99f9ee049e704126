/** What a receipt tells of a paid answer, as JSON text put together by hand: each paid request writes one. */

import type { Offer } from '../catalogue/offers.ts';
import type { PriceLevel } from '../catalogue/prices.ts';
import type { Usage } from '../dialects/usage.ts';
import type { Attempt } from './attempts.ts';
import { priceUsage, receiptLines, unpricedClasses } from './meter.ts';
import { readableJson } from './open_hold.ts';

export interface Circumstances {
  /** Id of the model that was asked for, which the hold names. */
  readonly asked: string;
  readonly finishReason: string | null;
  readonly reason: string | null;
  readonly reportedBy: 'provider' | 'estimate';
}

/** `performance.now()`. */
interface Timing {
  readonly startedAt: number;
  /** When the provider's answer was there to be passed on; 0 where that was not noted. */
  readonly answeredAt: number;
}

/** Why no more than a fee is charged. */
const ownKeyUsed = 'asked with a key of your own';

/** What a provider has put there; the books need no more of it. */
const mostReasonLength = 64;

/**
 * What the receipt says should the process die in mid-stream: see `Checkpoint`.
 * @param prices JSON, from `checkpointPrices`
 */
export function basisOf(
  startedAt: number,
  { provider, model, receiptText }: Offer,
  attempts: readonly Attempt[],
  asked: string,
  prices: string,
): string {
  const other = model === asked ? '' : `"model":${JSON.stringify(model)},`;
  const failed = attempts.length > 0 ? `,"failedAttempts":${readableJson(attempts)}` : '';
  const firstByteMs = Math.round(performance.now() - startedAt);
  return `{"provider":${JSON.stringify(provider)},"detail":{${other}${receiptText},"prices":${prices},"firstByteMs":${firstByteMs}${failed}}}`;
}

export function explanation(
  { startedAt, answeredAt }: Timing,
  { offer }: { readonly offer: Offer },
  attempts: readonly Attempt[],
  usage: Usage,
  level: PriceLevel,
  { asked, finishReason, reason, reportedBy }: Circumstances,
): string {
  const { tokens, prices } = receiptLines(usage, level);
  const unpriced = unpricedClasses(usage, level);
  const flags = unpriced.length > 0 ? [...usage.flags, ...unpriced] : usage.flags;
  const finish =
    finishReason === null ? 'null' : readableJson(finishReason.slice(0, mostReasonLength));
  const now = performance.now();
  const began = answeredAt || now;
  const rest =
    (flags.length > 0 ? `,"flags":${readableJson(flags)}` : '') +
    (attempts.length > 0 ? `,"failedAttempts":${readableJson(attempts)}` : '') +
    (offer.listed ? `,"listCost":${priceUsage(usage, offer.listed).cost}` : '');
  const why = reason ?? (offer.listed ? ownKeyUsed : null);
  // The ledger takes the model of a receipt from here, where it stands first, and else from the hold.
  const model = offer.model === asked ? '' : `"model":${JSON.stringify(offer.model)},`;
  return `{${model}"finishReason":${finish},"reason":${readableJson(why)},"reportedBy":"${reportedBy}",${offer.receiptText},"tokens":${tokens},"prices":${prices},"firstByteMs":${Math.round(began - startedAt)},"durationMs":${Math.round(now - startedAt)}${rest}}`;
}
