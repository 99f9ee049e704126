/**
 * POST /v1/chat/completions: the story of a request, top-down.
 *
 * The order of checks: key, address, rate, body, model, money. Money moves in three places: `OpenHold.take` before the
 * provider's answer may be delivered, `settle` before the last byte of it, `release` where nothing is owed.
 */

import { ApiError } from '../errors.ts';
import { SettlementLost } from '../wallet/failure.ts';
import { type Asker, authenticate } from './authenticate.ts';
import { ClientLeft } from './body.ts';
import { bookRefused, type Call, type Gateway } from './call.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { Continued } from './conversations.ts';
import type { Exchange } from './exchange.ts';
import type { Repeated } from './kept_answers.ts';
import { type HoldPlan, OpenHold } from './open_hold.ts';
import type { Outlet } from './outlet.ts';
import { planOf } from './plan.ts';
import { streamAnswer } from './stream_answer.ts';
import { ownAlone } from './target.ts';
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
  record: Asker,
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
  record: Asker,
  request: ChatRequest,
  exchange: Outlet,
): Promise<void> {
  const chosen = gateway.routes.choose(request, record);
  const route = gateway.conversations.continued(chosen, request, record.userId);
  const call = await withHold(gateway, record, request, route, exchange);
  const { hold } = call;
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

/** Where the wallet cannot pay what would stand in for keys of the account's own, these are asked alone. */
async function withHold(
  gateway: Gateway,
  { walletId, id: keyId, own }: Asker,
  request: ChatRequest,
  route: Continued,
  exchange: Outlet,
): Promise<Call> {
  const { ledger, lengths } = gateway;
  const wanted = (chosen: Continued): HoldPlan => {
    const plan = planOf(request, chosen, lengths);
    return { id: exchange.id, walletId, keyId, model: chosen.model.id, plan, lengths };
  };
  const alone = own && ownAlone(route);
  const instead = alone && wanted(alone);
  const hold = await OpenHold.take(ledger, wanted(route), instead);
  const { plan } = hold;
  const taken = alone && plan === instead?.plan ? alone : route;
  return { gateway, exchange, request, route: taken, plan, hold };
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
