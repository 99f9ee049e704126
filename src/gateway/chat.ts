/**
 * POST /v1/chat/completions: the story of a request, top-down.
 *
 * The order of checks: key, address, rate, body, model, money. Money moves in three places: `OpenHold.take` before the
 * provider's answer may be delivered, `settle` before the last byte of it, `release` where nothing is owed.
 */

import type { KeyRecord } from '../accounts/keys.ts';
import { ApiError } from '../errors.ts';
import { SettlementLost } from '../wallet/failure.ts';
import { authenticate } from './authenticate.ts';
import { ClientLeft } from './body.ts';
import { bookRefused, type Gateway } from './call.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { Exchange } from './exchange.ts';
import type { Repeated } from './kept_answers.ts';
import { OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import { planOf } from './plan.ts';
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
    const repeated = await answerFirst(gateway, record, exchange);
    if (repeated) await gateway.kept.repeat(exchange, repeated);
  } finally {
    leave();
  }
}

/**
 * Reads the request and answers it, unless an earlier one is, or was, answered in its place: whoever waits for that must not
 * keep the body, so that it is no longer in reach when this returns.
 * @throws ApiError while nothing has been answered yet
 */
async function answerFirst(
  gateway: Gateway,
  record: KeyRecord,
  exchange: Exchange,
): Promise<Repeated | null> {
  const body = await exchange.body(gateway.maxBodyBytes);
  const request = readChatRequest(body);
  const key = exchange.request.headers['idempotency-key'];
  if (key === undefined && !request.resumable) {
    await answerChat(gateway, record, request, exchange);
    return null;
  }
  const owner = { account: record.userId, keyId: record.id };
  return gateway.kept.answer(exchange, { owner, key, body }, (outlet) =>
    answerChat(gateway, record, request, outlet),
  );
}

/** @throws ApiError while nothing has been answered yet */
async function answerChat(
  gateway: Gateway,
  record: KeyRecord,
  request: ChatRequest,
  exchange: Outlet,
): Promise<void> {
  const chosen = gateway.routes.choose(request, record.replaceRetired);
  const route = gateway.conversations.continued(chosen, request, record.userId);
  const plan = planOf(request, route, gateway.lengths);
  const hold = await OpenHold.take(gateway.ledger, {
    id: exchange.id,
    walletId: record.walletId,
    keyId: record.id,
    model: route.model.id,
    plan,
    lengths: gateway.lengths,
  });
  const call = { gateway, exchange, request, route, plan, hold };
  try {
    if (request.stream) await streamAnswer(call);
    else await wholeAnswer(call);
  } catch (error) {
    if (hold.refused) await bookRefused(call);
    await releaseAfter(error, hold);
    gateway.ledger.forget(exchange.id, !exchange.hasBegun);
    throw error;
  }
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
