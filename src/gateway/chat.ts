/**
 * POST /v1/chat/completions: the story of a request, top-down.
 *
 * The order of checks: key, address, rate, body, model, money. Money moves in three places: `OpenHold.take` before the
 * provider's answer may be delivered, `settle` before the last byte of it, `release` where nothing is owed.
 */

import { ApiError } from '../errors.ts';
import { SettlementLost } from '../wallet/failure.ts';
import { costOf, type Nano, nano } from '../wallet/money.ts';
import { authenticate } from './authenticate.ts';
import { ClientLeft } from './body.ts';
import { bookRefused, type Gateway, type Plan } from './call.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { Route } from './choose.ts';
import type { Exchange } from './exchange.ts';
import { boundOf } from './meter.ts';
import { OpenHold } from './open_hold.ts';
import { streamAnswer } from './stream_answer.ts';
import { wholeAnswer } from './whole_answer.ts';

/** @throws ApiError while nothing has been answered yet */
export async function chat(gateway: Gateway, exchange: Exchange): Promise<void> {
  const { record } = await authenticate(gateway.keys, exchange.request, gateway.trustedProxies);
  exchange.preferErrorFormat(record.errorFormat);
  const leave = gateway.limits.admit(record.id, record.userId, (headers) =>
    exchange.addHeaders(headers),
  );
  try {
    const request = readChatRequest(await exchange.body(gateway.maxBodyBytes));
    const route = gateway.routes.choose(request.model);
    const plan = planOf(request, route);
    const hold = await OpenHold.take(gateway.ledger, {
      id: exchange.id,
      walletId: record.walletId,
      keyId: record.id,
      model: route.model.id,
      wanted: plan.wanted,
      least: plan.least,
    });
    const call = { gateway, exchange, request, route, plan, hold };
    try {
      if (request.stream) await streamAnswer(call);
      else await wholeAnswer(call);
    } catch (error) {
      if (hold.refused) await bookRefused(call);
      await releaseAfter(error, hold);
      gateway.ledger.forget(exchange.id, !exchange.response.headersSent);
      throw error;
    }
  } finally {
    leave();
  }
}

/** Tokens that a stream holds money for at first; more is taken as it grows. */
const firstStreamTokens = 1024;
/** An answer of fewer tokens is not worth beginning, unless the client wants it that short. */
const shortestAnswerTokens = 16;

function planOf(request: ChatRequest, { model, targets }: Route): Plan {
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

/** Nothing was delivered, or it cannot be charged: the hold goes back, where it is still ours to give. */
async function releaseAfter(error: unknown, hold: OpenHold): Promise<void> {
  if (error instanceof SettlementLost) return;
  const reason =
    error instanceof ClientLeft
      ? 'the client went away before the answer'
      : error instanceof ApiError
        ? error.message
        : 'the gateway failed';
  await hold.release({ reason }).catch(() => {
    // Recovery has it, or the ledger ends it when the database is back.
  });
}
