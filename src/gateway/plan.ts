/** What a request may use, and what is held for it before it is sent. */
import { costOf, type Nano, nano } from '../wallet/money.ts';
import type { Plan } from './call.ts';
import type { ChatRequest } from './chat_request.ts';
import type { Route } from './choose.ts';
import { boundOf } from './meter.ts';

/** Tokens that a stream holds money for at first; more is taken as it grows. */
const firstStreamTokens = 1024;
/** An answer of fewer tokens is not worth beginning, unless the client wants it that short. */
const shortestAnswerTokens = 16;

export function planOf(request: ChatRequest, { model, targets }: Route): Plan {
  const offers = targets.map(({ offer }) => offer);
  const bound = boundOf(offers, Math.min(request.inputBound, model.contextLength));
  const perChoice = Math.min(request.maxTokens ?? model.maxOutputTokens, model.contextLength);
  const allowedTokens = perChoice * request.choices;
  const costWith = (tokens: number): Nano =>
    nano(bound.input + costOf([[tokens, bound.outputPrice]]));
  // Reasoning is paid for and not seen, so that a hold could not grow with it: like an answer in one piece, it is capped.
  const isCapped = !request.stream || model.reasoning;
  const first = isCapped ? allowedTokens : Math.min(allowedTokens, firstStreamTokens);
  const isExplicit = request.maxTokens !== null;
  // Without a limit of the client's own, an answer as long as the wallet can pay is better than none.
  const shortest = isExplicit && isCapped ? first : Math.min(first, shortestAnswerTokens);
  return { bound, allowedTokens, isCapped, wanted: costWith(first), least: costWith(shortest) };
}
