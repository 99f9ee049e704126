/** What one chat call carries on its way from the hold to the settlement, and how its settlement is written. */
import type { Edits } from '../dialects/members.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import { ApiError } from '../errors.ts';
import type { Ledger } from '../wallet/ledger.ts';
import { type Nano, nano } from '../wallet/money.ts';
import type { Limits } from './admit.ts';
import type { Attempt } from './attempts.ts';
import type { KeyDirectory } from './authenticate.ts';
import type { ChatRequest } from './chat_request.ts';
import type { Routes } from './choose.ts';
import type { Continued, Conversations } from './conversations.ts';
import { type Circumstances, explanation } from './explanation.ts';
import type { KeptAnswers } from './kept_answers.ts';
import type { Lengths } from './lengths.ts';
import { estimateUsage, priceUsage } from './meter.ts';
import type { Ending, OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import { affordable, costWith, type Plan } from './plan.ts';
import type { RelaySettings } from './relay.ts';
import type { Target } from './target.ts';
import type { Upstreams } from './upstream.ts';

export interface Gateway {
  readonly keys: KeyDirectory;
  readonly limits: Limits;
  readonly routes: Routes;
  readonly upstreams: Upstreams;
  readonly ledger: Ledger;
  readonly lengths: Lengths;
  readonly conversations: Conversations;
  readonly relay: RelaySettings;
  readonly kept: KeptAnswers;
  readonly maxBodyBytes: number;
  readonly trustedProxies: number;
}

/** Everything that one call needs on its way. */
export interface Call {
  readonly gateway: Gateway;
  readonly exchange: Outlet;
  readonly request: ChatRequest;
  readonly route: Continued;
  readonly plan: Plan;
  readonly hold: OpenHold;
}

/** Writes the request for whichever offer is tried. @param cap tokens of output for one choice that the hold pays for; null for the client's own limit */
export function requestWriter(
  request: ChatRequest,
  cap: number | null,
): (target: Target) => string {
  return ({ offer, dialect, tokenLimitField }) => {
    const { upstreamModel, maxOutputTokens, constraints } = offer;
    // Models that stand in for each other need not be able to write as much.
    const own = cap === null ? null : Math.min(cap, maxOutputTokens);
    return dialect.writeChat(request, {
      upstreamModel,
      maxOutputTokens,
      constraints,
      tokenLimitField,
      cap: own,
    });
  };
}

/**
 * Tokens of output for one choice that the hold pays for; null where it pays for all that the client's own limit, or the
 * model's, allows. A hold that grows with the answer may grow as far as the wallet goes, whatever others hold now.
 */
export function capOf({ plan, hold }: Call): number | null {
  if (plan.isCapped) return capWithin(plan, hold.granted);
  return capWithin(plan, hold.reach);
}

/** The same for any amount. @param payable nano-USD */
export function capWithin({ most, bound, choices, ceiling }: Plan, payable: number): number | null {
  if (payable >= most || bound.outputPrice === 0) return ceiling;
  return Math.max(1, affordable(bound, payable, choices));
}

/** What all costs that a cap lets through. */
export function mostWithCap({ bound, choices, most }: Plan, cap: number | null): Nano {
  return cap === null ? most : costWith(bound, cap * choices);
}

/** Whose limit ended an answer that is as long as its cap: what the last chunk says. Null where that was the client's, or none. */
export function endedBy(
  { plan, hold }: Call,
  cap: number | null,
  finish: string | null,
): string | null {
  if (cap === null || finish !== 'length') return null;
  return cap === plan.ceiling ? 'max_cost' : hold.endedBy;
}

/** Tells the client that its answer was limited to what the wallet, or its `max_cost`, can pay, and that another model answers. */
export function noticeHeaders({ route }: Call, cap: number | null): readonly string[] {
  const clamped = cap === null ? [] : ['x-max-tokens-clamped', String(cap)];
  const { replaces, model } = route;
  return replaces ? [...clamped, 'x-model-replaced', `${replaces} -> ${model.id}`] : clamped;
}

/** What is put into the usage of a provider, as JSON texts by member: a provider may report a cost of its own, which is not what the client pays. */
export function usageEdits(cost: string, cap: number | null): Edits {
  return cap === null ? { cost } : { cost, max_tokens_clamped: String(cap) };
}

/** Usage of our own counting. */
export function usageText(usage: Usage, cost: string, cap: number | null): string {
  const prompt = promptTokens(usage);
  const total = prompt + usage.output;
  const clamped = cap === null ? '' : `"max_tokens_clamped":${cap},`;
  return `{"cost":${cost},${clamped}"prompt_tokens":${prompt},"completion_tokens":${usage.output},"total_tokens":${total},"estimated":true}`;
}

/** The settlement of an answer: what it cost, how much of it the client's limits cover, and what explains both. */
export function endingOf(
  { gateway, exchange, route, plan, hold }: Call,
  { target, attempts }: { readonly target: Target; readonly attempts: readonly Attempt[] },
  usage: Usage,
  isReported: boolean,
  circumstances: Omit<Circumstances, 'asked' | 'reportedBy'>,
): Ending {
  const { cost, level } = priceUsage(usage, target.offer);
  const asked = route.model.id;
  if (route.conversation !== undefined) gateway.conversations.answered(route.conversation, target);
  const mostCharged = plan.isCapped ? hold.granted : plan.most;
  return {
    outcome: isReported ? 'settled' : 'estimated',
    cost,
    chargeable: nano(Math.min(cost, mostCharged)),
    provider: target.offer.provider,
    inputTokens: promptTokens(usage),
    outputTokens: usage.output,
    model: target.offer.model,
    detail: explanation(exchange, target, attempts, usage, level, {
      asked,
      ...circumstances,
      reportedBy: isReported ? 'provider' : 'estimate',
    }),
  };
}

/**
 * The provider was called while the hold travelled, and then the hold was refused: the operator pays, for the answer
 * where it is known, else for the prompt. Booked once, by whoever comes first.
 * @throws the refusal
 */
export async function bookRefused(
  { request, route, hold }: Call,
  known?: { readonly target: Target; readonly usage: Usage },
): Promise<never> {
  const offer = known?.target.offer ?? route.targets[0]?.offer;
  const usage = known?.usage ?? estimateUsage(request.inputEstimate, 0);
  // With a key of one's own the provider is paid by its owner.
  if (offer && !offer.listed) {
    const note = known
      ? 'answered before its hold was refused'
      : 'sent before its hold was refused';
    await hold.bookLoss(priceUsage(usage, offer).cost, note);
  }
  throw hold.refused ?? new ApiError('insufficient_credits');
}
