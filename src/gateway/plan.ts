/** What a request may use, and what is held for it before it is sent. */
import type { Model } from '../catalogue/catalogue.ts';
import { ApiError } from '../errors.ts';
import { KeyLimitError, type KeyRoom } from '../wallet/key_limits.ts';
import { costOf, formatUsd, type Nano, nano } from '../wallet/money.ts';
import type { ChatRequest } from './chat_request.ts';
import type { Route } from './choose.ts';
import type { Lengths } from './lengths.ts';
import { type Bound, boundOf } from './meter.ts';
import { inputBound } from './prompt_size.ts';

/** What a call may use, and what is held for it. */
export interface Plan {
  readonly bound: Bound;
  /** Tokens of output that the client's limits, or else the model's, allow; over all choices. */
  readonly allowedTokens: number;
  readonly choices: number;
  /** The hold pays for the whole answer, and the provider gets no higher cap than that. */
  readonly isCapped: boolean;
  /** The client set the limit itself: it is kept, or refused. */
  readonly isExplicit: boolean;
  /** What `max_cost` leaves of the limit, for one choice; null where it leaves it as it is. */
  readonly ceiling: number | null;
  readonly wanted: Nano;
  /** A hold of less would not pay for an answer as long as they mostly are; it is waited for, then less is taken. */
  readonly likely: Nano;
  readonly least: Nano;
  /** What all that is allowed costs: neither the hold nor the charge exceeds it. */
  readonly most: Nano;
}

/** An answer of fewer tokens is not worth beginning, unless the client wants it that short. */
const shortestAnswerTokens = 16;

/**
 * @param lengths what streams hold money for at first; more is taken as they grow
 * @throws ApiError insufficient_credits where `max_cost` does not pay for the prompt and one token
 */
export function planOf(request: ChatRequest, route: Route, lengths: Lengths): Plan {
  const { models } = route;
  const bound = dearest(request, route);
  const { choices, maxCost } = request;
  const limit = over(models, ({ maxOutputTokens, contextLength }) =>
    Math.min(request.maxTokens ?? maxOutputTokens, contextLength),
  );
  const perChoice = maxCost === null ? limit : Math.min(limit, affordable(bound, maxCost, choices));
  if (maxCost !== null && (perChoice < 1 || bound.input > maxCost)) throw tooLow(bound, choices);
  const allowedTokens = perChoice * choices;
  // Reasoning is paid for and not seen, so that a hold could not grow with it: like an answer in one piece, it is capped.
  const isCapped = !request.stream || models.some(({ reasoning }) => reasoning);
  const usual = Math.min(
    allowedTokens,
    over(models, ({ id }) => lengths.long(id)),
  );
  const isExplicit = request.maxTokens !== null;
  const most = costWith(bound, allowedTokens);
  const mostly = costWith(bound, usual);
  const wanted = isCapped ? most : mostly;
  const shortest = Math.min(usual, shortestAnswerTokens);
  // Without a limit of the client's own, an answer as long as the wallet can pay is better than none.
  const mustFit = isExplicit && isCapped;
  return {
    bound,
    allowedTokens,
    choices,
    isCapped,
    isExplicit,
    ceiling: perChoice < limit ? perChoice : null,
    wanted,
    likely: mustFit ? wanted : mostly,
    least: mustFit ? wanted : costWith(bound, shortest),
    most,
  };
}

/** The dearest that the request can cost, whichever of the models that may be tried answers it. */
function dearest(request: ChatRequest, { models, targets }: Route): Bound {
  const bounds = models.map((model) => {
    const own = models.length === 1 ? targets : targets.filter((target) => target.model === model);
    const input = Math.min(inputBound(request, model.author), model.contextLength);
    return boundOf(
      own.map(({ offer }) => offer),
      input,
    );
  });
  const [first] = bounds;
  if (first && bounds.length === 1) return first;
  return {
    input: nano(Math.max(...bounds.map(({ input }) => input))),
    outputPrice: Math.max(...bounds.map(({ outputPrice }) => outputPrice)),
  };
}

/** The most of something over all models that may be tried. */
function over(models: readonly Model[], of: (model: Model) => number): number {
  let most = 0;
  for (const model of models) most = Math.max(most, of(model));
  return most;
}

export function costWith(bound: Bound, tokens: number): Nano {
  return nano(bound.input + costOf([[tokens, bound.outputPrice]]));
}

/** Tokens of output for one choice that an amount pays for beside the prompt; below zero where it does not pay for that. */
export function affordable({ input, outputPrice }: Bound, amount: number, choices: number): number {
  if (amount < input) return -1;
  if (outputPrice === 0) return Number.MAX_SAFE_INTEGER;
  return Math.floor(((amount - input) * 1000) / outputPrice / choices);
}

function tooLow(bound: Bound, choices: number): ApiError {
  const lowest = formatUsd(costWith(bound, choices));
  return new ApiError('insufficient_credits', {
    message: `The max_cost of this request does not pay for its prompt and one token of answer: at least ${lowest} is needed.`,
    param: 'max_cost',
    details: { limit_source: 'max_cost', lowest_max_cost: lowest },
  });
}

/** A wallet as the last commit left it; nano-USD. */
export interface WalletView {
  readonly balance: number;
  /** What no request holds. */
  readonly free: number;
}

/** Whether all that the client asked for by its own limit is more than the wallet has, requests under way or not. */
export function isBeyond(plan: Plan, wallet: WalletView | null): boolean {
  return wallet !== null && plan.isExplicit && plan.most > wallet.balance;
}

/** The same for what the limits of the key leave, as if no other request of it were under way. */
export function isBeyondKey(plan: Plan, room: KeyRoom | null): boolean {
  return room !== null && plan.isExplicit && plan.most > room.left;
}

/** The `max_tokens` that an amount pays for, of what was allowed anyway; 0 where it does not pay for the prompt. */
function fitting({ allowedTokens, choices, bound }: Plan, amount: number): number {
  const limit = Math.floor(allowedTokens / choices);
  return Math.max(0, Math.min(limit, affordable(bound, amount, choices)));
}

/** The refusal by a limit of the key that says how many tokens would do. @param isBusy it would do but for what other requests hold */
export function overLimit(plan: Plan, room: KeyRoom, isBusy: boolean): KeyLimitError {
  if (isBusy) return new KeyLimitError(room, true);
  const tokens = fitting(plan, room.left);
  const hint =
    tokens > 0 ? `A max_tokens of ${tokens} would fit.` : 'Not even its prompt would fit.';
  return new KeyLimitError(room, false, { hint, tokens });
}

/**
 * The refusal that says how many tokens would do. A wallet below the floor hears the documented sentence only.
 * @param floor nano-USD
 */
export function insufficient(plan: Plan, wallet: WalletView | null, floor: number): ApiError {
  if (!wallet || wallet.balance < floor) return new ApiError('insufficient_credits');
  // Money that other requests hold was waited for; what can be paid now is what they leave.
  const isBusy = plan.least <= wallet.balance && !isBeyond(plan, wallet);
  const tokens = fitting(plan, isBusy ? wallet.free : wallet.balance);
  const standard = 'Insufficient credits. Please top up your account.';
  const rest = isBusy
    ? ' Other requests hold a part of your balance; of what is left,'
    : ' Of your balance,';
  return new ApiError('insufficient_credits', {
    message:
      tokens > 0
        ? `${standard}${rest} a max_tokens of ${tokens} can be paid for this request.`
        : `${standard}${rest} not even the prompt of this request can be paid.`,
    details: { limit_source: 'wallet', affordable_max_tokens: tokens },
  });
}
