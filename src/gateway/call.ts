/** What one chat call carries on its way from the hold to the settlement, and how its settlement is written. */
import { type ChatTarget, writeChatRequest } from '../dialects/openai.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import { ApiError } from '../errors.ts';
import type { Ledger } from '../wallet/ledger.ts';
import { costOf, type Nano, nano } from '../wallet/money.ts';
import type { Limits } from './admit.ts';
import type { Attempt } from './attempts.ts';
import type { KeyDirectory } from './authenticate.ts';
import type { ChatRequest } from './chat_request.ts';
import type { Route, Routes, Target } from './choose.ts';
import { type Circumstances, explanation } from './explanation.ts';
import type { KeptAnswers } from './kept_answers.ts';
import { type Bound, estimateUsage, priceUsage } from './meter.ts';
import type { Ending, OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import type { RelaySettings } from './relay.ts';
import type { Upstreams } from './upstream.ts';

export interface Gateway {
  readonly keys: KeyDirectory;
  readonly limits: Limits;
  readonly routes: Routes;
  readonly upstreams: Upstreams;
  readonly ledger: Ledger;
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
  readonly route: Route;
  readonly plan: Plan;
  readonly hold: OpenHold;
}

/** What a call may use, and what is held for it. */
export interface Plan {
  readonly bound: Bound;
  /** Tokens of output that the client's limit, or else the model's, allows; over all choices. */
  readonly allowedTokens: number;
  /** The hold pays for the whole answer, and the provider gets no higher cap than that. */
  readonly isCapped: boolean;
  readonly wanted: Nano;
  readonly least: Nano;
}

/** Writes the request for whichever offer is tried. @param cap tokens of output for one choice that the hold pays for; null for the client's own limit */
export function requestWriter(
  request: ChatRequest,
  cap: number | null,
): (target: Target) => string {
  return ({ offer, tokenLimitField }) => {
    const chatTarget: ChatTarget = { upstreamModel: offer.upstreamModel, tokenLimitField, cap };
    return writeChatRequest(request, chatTarget);
  };
}

/**
 * Tokens of output for one choice that the hold pays for; null where it pays for all that the client's own limit, or the
 * model's, allows, or grows with the answer.
 */
export function capOf({ request, plan, hold }: Call): number | null {
  if (!plan.isCapped || hold.granted >= plan.wanted || plan.bound.outputPrice === 0) return null;
  const tokens = Math.floor(((hold.granted - plan.bound.input) * 1000) / plan.bound.outputPrice);
  return Math.max(1, Math.floor(tokens / request.choices));
}

/** Tells the client that its answer was limited to what the wallet can pay. */
export function clampedHeader(cap: number | null): readonly string[] {
  return cap === null ? [] : ['x-max-tokens-clamped', String(cap)];
}

/** Usage of our own counting. */
export function usageText(usage: Usage, cost: string): string {
  const prompt = promptTokens(usage);
  const total = prompt + usage.output;
  return `{"cost":${cost},"prompt_tokens":${prompt},"completion_tokens":${usage.output},"total_tokens":${total},"estimated":true}`;
}

/** The settlement of an answer: what it cost, how much of it the client's limits cover, and what explains both. */
export function endingOf(
  { exchange, plan, hold }: Call,
  { target, attempts }: { readonly target: Target; readonly attempts: readonly Attempt[] },
  usage: Usage,
  isReported: boolean,
  circumstances: Omit<Circumstances, 'reportedBy'>,
): Ending {
  const { cost, level } = priceUsage(usage, target.offer);
  const limit = plan.bound.input + costOf([[plan.allowedTokens, plan.bound.outputPrice]]);
  const mostCharged = plan.isCapped ? hold.granted : limit;
  return {
    outcome: isReported ? 'settled' : 'estimated',
    cost,
    chargeable: nano(Math.min(cost, mostCharged)),
    provider: target.offer.provider,
    inputTokens: promptTokens(usage),
    outputTokens: usage.output,
    detail: explanation(exchange, target, attempts, usage, level, {
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
  if (offer) {
    const note = known
      ? 'answered before its hold was refused'
      : 'sent before its hold was refused';
    await hold.bookLoss(priceUsage(usage, offer).cost, note);
  }
  throw hold.refused ?? new ApiError('insufficient_credits');
}
