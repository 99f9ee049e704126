/** POST /v1/quote: what a chat request would cost, without sending it. Nothing is held, and nothing is charged. */
import { providers } from '../catalogue/catalogue.ts';
import { formatPrice, levelFor } from '../catalogue/prices.ts';
import type { Sql } from '../db/database.ts';
import type { Usage } from '../dialects/usage.ts';
import { ApiError } from '../errors.ts';
import { type Funds, fundsOf } from '../wallet/funds.ts';
import { type KeyFunds, keyFunds } from '../wallet/key_limits.ts';
import { convertUsd, formatUsd, type Nano, nano } from '../wallet/money.ts';
import type { Asker } from './authenticate.ts';
import { capWithin, type Gateway } from './call.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { Route } from './choose.ts';
import type { Exchange } from './exchange.ts';
import { estimateUsage, priceUsage } from './meter.ts';
import { isBeyond, type Plan, planOf, type WalletView } from './plan.ts';
import { inputBound } from './prompt_size.ts';

export interface QuoteGateway extends Gateway {
  readonly quotes: {
    readonly sql: Sql;
    /** Taka for one US dollar, a decimal: for display. */
    readonly bdtRate: string;
  };
}

/** @throws ApiError as the chat request itself would, but for what the wallet cannot pay: that is a part of the answer */
export async function quote(
  gateway: QuoteGateway,
  exchange: Exchange,
  _rest: string,
  asker: Asker,
): Promise<void> {
  const request = readChatRequest(await exchange.body(gateway.maxBodyBytes));
  const route = gateway.routes.choose(request, asker);
  const plan = planOf(request, route, gateway.lengths);
  const { sql } = gateway.quotes;
  const { id, walletId } = asker;
  const purse = { ...(await fundsOf(sql, walletId)), key: await keyFunds(sql, id) };
  exchange.json(JSON.stringify(quoteOf(gateway, request, route, plan, purse)));
}

/** What the request could be paid from. */
interface Purse extends Funds {
  /** Null for a key without limits. */
  readonly key: KeyFunds | null;
}

function quoteOf(
  { ledger, lengths, quotes }: QuoteGateway,
  request: ChatRequest,
  route: Route,
  plan: Plan,
  purse: Purse,
): object {
  const [first] = route.targets;
  if (!first) throw new ApiError('no_provider');
  const { offer } = first;
  const usual = lengths.usual(offer.model) * plan.choices;
  const likely = estimateUsage(request.inputEstimate, 0);
  const tokens = {
    lower: lowest(request),
    likely: { ...likely, output: Math.min(usual, plan.allowedTokens) },
  };
  const upperInput = Math.max(
    ...route.models.map((model) =>
      Math.min(inputBound(request, model.author), model.contextLength),
    ),
  );
  const likelyCost = Math.min(priceUsage(tokens.likely, offer).cost, plan.most);
  const lowerCosts = route.targets.map((target) => priceUsage(tokens.lower, target.offer).cost);
  const prices = levelFor(offer.levels, request.inputEstimate).applied;
  const price = (amount: number) => priced(nano(amount), quotes.bdtRate);
  const payable = payableFrom(purse);
  const isRich = plan.most === 0 || (purse.balance >= ledger.floor && payable.free >= plan.least);
  return {
    object: 'quote',
    model: offer.model,
    provider: providers.get(offer.provider)?.name ?? offer.provider,
    price_version: offer.priceVersion,
    prices: { prompt: formatPrice(prices.input), completion: formatPrice(prices.output) },
    tokens: {
      prompt: {
        lower: tokens.lower.cacheRead,
        likely: request.inputEstimate,
        upper: upperInput,
      },
      completion: {
        lower: tokens.lower.output,
        likely: tokens.likely.output,
        upper: plan.allowedTokens,
      },
    },
    cost: {
      lower: price(Math.min(likelyCost, ...lowerCosts)),
      likely: price(likelyCost),
      upper: price(plan.most),
    },
    usd_bdt_rate: quotes.bdtRate,
    wallet: {
      balance: formatUsd(purse.balance),
      free: formatUsd(purse.free),
      can_pay: isRich && !isBeyond(plan, payable),
    },
    key_limit: purse.key && {
      limit: purse.key.limit,
      remaining: formatUsd(atLeastZero(purse.key.left)),
      free: formatUsd(atLeastZero(purse.key.free)),
    },
    max_tokens_clamped: isRich
      ? capWithin(plan, plan.isCapped ? payable.free : payable.balance)
      : null,
  };
}

/** What both the wallet and the limits of the key let a request have: at most, and beside those under way; nano-USD. */
function payableFrom({ balance, free, key }: Purse): WalletView {
  if (!key) return { balance, free };
  return { balance: Math.min(balance, key.left), free: Math.min(free, key.free) };
}

/** A limit that was lowered leaves less than nothing. */
function atLeastZero(amount: number): Nano {
  return nano(Math.max(0, amount));
}

/** Nothing is longer than this in any vocabulary, but for runs of blanks. */
const longestTokens = 4;

/** A prompt of long tokens that is in the provider's cache already, and one token for each answer. */
function lowest({ inputEstimate, choices }: ChatRequest): Usage {
  const prompt = Math.ceil(inputEstimate / longestTokens);
  return { ...estimateUsage(0, 0), cacheRead: prompt, output: choices };
}

function priced(usd: Nano, rate: string): { usd: string; bdt: string } {
  return { usd: formatUsd(usd), bdt: convertUsd(usd, rate) };
}
