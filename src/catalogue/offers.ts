/** One model at one provider, at the prices of one moment with the operator's margin in them; and the name of these prices. */

import { hash } from 'node:crypto';
import type { Dialect } from '../dialects/dialect.ts';
import type { Constraint } from './entry.ts';
import type { Margins } from './margins.ts';
import {
  feeOn,
  type Period,
  type PriceLevel,
  type Prices,
  type Provenance,
  priceLevels,
  withMargin,
} from './prices.ts';

interface Seller {
  /** Our id of the model. */
  readonly model: string;
  /** Id of the provider. */
  readonly provider: string;
  readonly upstreamModel: string;
  /** Tokens: the smaller of what the model can and the provider allows. */
  readonly contextLength: number;
  readonly maxOutputTokens: number;
  readonly constraints: readonly Constraint[];
  /** Where its provider is spoken to otherwise for it; null for the provider's own. */
  readonly dialect: Dialect | null;
}

/** An offer with all prices that are known for it, past and to come. */
export interface DatedOffer extends Seller {
  /** Ascending, never empty. */
  readonly periods: readonly Period[];
}

export interface Offer extends Seller {
  /** What the user pays: margin included. */
  readonly prices: Prices;
  /** The same, ready for a request. */
  readonly levels: readonly PriceLevel[];
  /** Names these prices for ever: `openai/gpt-4o-mini@openai-` and 16 digits of the hash of their content. */
  readonly priceVersion: string;
  /** JSON of what the version stands for: the provider's prices, the margin and the user's prices. */
  readonly priceContent: string;
  /** Of the provider's prices; no part of the version. */
  readonly provenance: Provenance;
  /** Members of every receipt of it: the provider's name of the model, and the version. */
  readonly receiptText: string;
  /** Of what is asked with an account's own key: the offer as it is sold to others, whose prices the fee is a part of. */
  readonly listed?: Offer;
}

const versionDigits = 16;

function offerOf(
  { periods: _, ...seller }: DatedOffer,
  { prices: base, provenance }: Period,
  margin: number,
): Offer {
  const prices = withMargin(base, margin);
  const { model, provider, upstreamModel } = seller;
  const content = {
    model,
    provider,
    upstreamModel,
    unit: 'pico-USD a token; request: pico-USD',
    providerPrices: base,
    marginMillionths: margin,
    userPrices: prices,
  };
  return named({ ...seller, provenance }, prices, JSON.stringify(content), '');
}

/** @param members of its receipts beside those that every receipt has, as JSON text */
function named(
  seller: Seller & Pick<Offer, 'provenance'>,
  prices: Prices,
  priceContent: string,
  members: string,
): Offer {
  const { model, provider, upstreamModel } = seller;
  const digest = hash('sha256', priceContent).slice(0, versionDigits);
  const priceVersion = `${model}@${provider}-${digest}`;
  const receiptText = `"upstreamModel":${JSON.stringify(upstreamModel)},"priceVersion":${JSON.stringify(priceVersion)}${members}`;
  const levels = priceLevels(prices);
  return { ...seller, prices, levels, priceVersion, priceContent, receiptText };
}

/**
 * The same for who asks with a key of their own, and so pays the provider: only our fee is charged.
 * @param fee millionths of the prices
 */
export function ownKeyOffer(listed: Offer, fee: number): Offer {
  const prices = feeOn(listed.prices, fee);
  const { model, provider, upstreamModel } = listed;
  const content = {
    model,
    provider,
    upstreamModel,
    unit: 'pico-USD a token; request: pico-USD',
    feeOn: listed.priceVersion,
    feeMillionths: fee,
    userPrices: prices,
  };
  return { ...named(listed, prices, JSON.stringify(content), ',"ownKey":true'), listed };
}

/** Prompts are longer than answers; three to one is the usual blend for comparing prices. */
function blendedPrice({ prices }: Offer): number {
  return 3 * prices.input + prices.output;
}

/** A model's offers at the prices of a moment (ms since 1970), cheapest first; of two at one price, the earlier stays first. */
export function offersAt(
  dated: readonly DatedOffer[],
  moment: number,
  margins: Margins,
): readonly Offer[] {
  return dated
    .map((offer) => {
      const period = offer.periods.findLast(({ from }) => from <= moment) ?? offer.periods[0];
      if (!period) throw new RangeError(`${offer.model} at ${offer.provider} has no prices.`);
      return offerOf(offer, period, margins.of(offer.model, offer.provider));
    })
    .sort((a, b) => blendedPrice(a) - blendedPrice(b));
}

/**
 * Every version of the prices, past and to come: what a receipt may ever name.
 * @param fee of who asks with a key of their own; millionths
 */
export function allVersions(
  dated: readonly DatedOffer[],
  margins: Margins,
  fee: number,
): readonly Offer[] {
  return dated.flatMap((offer) =>
    offer.periods.flatMap((period) => {
      const listed = offerOf(offer, period, margins.of(offer.model, offer.provider));
      return [listed, ownKeyOffer(listed, fee)];
    }),
  );
}

/** The next moment after this one at which a price changes; infinity when none is known. */
export function nextChange(dated: Iterable<DatedOffer>, moment: number): number {
  let next = Number.POSITIVE_INFINITY;
  for (const { periods } of dated)
    for (const { from } of periods) if (from > moment && from < next) next = from;
  return next;
}
