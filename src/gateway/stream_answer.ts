/** A streamed answer: relayed as it comes, settled before its last chunk. */
import { levelFor } from '../catalogue/prices.ts';
import { editMembers } from '../dialects/members.ts';
import { readUsage } from '../dialects/openai.ts';
import type { Usage } from '../dialects/usage.ts';
import { ApiError, errorObject } from '../errors.ts';
import { SettlementLost } from '../wallet/failure.ts';
import { formatUsd, type Nano, nano } from '../wallet/money.ts';
import { type Answered, firstAnswer } from './attempts.ts';
import {
  type Call,
  capOf,
  endedBy,
  endingOf,
  mostWithCap,
  noticeHeaders,
  requestWriter,
  usageEdits,
  usageText,
} from './call.ts';
import { Coverage } from './coverage.ts';
import { basisOf } from './explanation.ts';
import { checkpointPrices, credible, emptyAnswer, estimateUsage, isEmpty } from './meter.ts';
import { ChatRelay, type RelayEnding } from './relay.ts';
import { UpstreamBroken, type UpstreamCall } from './upstream.ts';

/** @throws what the client is told, while nothing has been answered */
export async function streamAnswer(call: Call): Promise<void> {
  const { gateway, exchange, request, plan, hold } = call;
  const cap = capOf(call);
  const write = requestWriter(request, cap);
  const answered = await firstAnswer(call, write, async (upstream, { dialect, offer }, askedAt) => {
    if (!dialect.isStream(upstream.header('content-type')))
      throw new UpstreamBroken('the provider did not stream');
    const id = `"chatcmpl-${exchange.plainId}"`;
    const model = JSON.stringify(offer.model);
    const reader = dialect.readStream(gateway.relay.maxEventBytes, request);
    const relay = new ChatRelay(upstream, reader, request.choices, id, model, gateway.relay);
    await inTime(
      relay,
      upstream,
      gateway.relay.firstTokenTimeoutMs - (performance.now() - askedAt),
    );
    return relay;
  });
  const relay = answered.answer;
  const coverage = coverageOf(call, answered, mostWithCap(plan, cap));
  // The first checkpoint, now that there is a first byte: a call whose client got none stays free.
  await coverage.raise(0).catch((error: unknown) => {
    relay.abandon();
    throw hold.refused ?? error;
  });
  exchange.head([...streamHeaders, ...noticeHeaders(call, cap)]);
  const isAlive = (): boolean => gateway.ledger.lease.isAlive();
  relay.start(exchange, coverage, plan.allowedTokens, isAlive);
  const ended = await relay.ended;
  await settleStream(call, answered, ended, cap);
}

/** A provider that says nothing but that it lives is as good as silent. @throws UpstreamBroken */
async function inTime(relay: ChatRelay, upstream: UpstreamCall, ms: number): Promise<void> {
  const timer = setTimeout(() => upstream.abort(), Math.max(0, ms));
  try {
    await relay.opened;
  } finally {
    clearTimeout(timer);
  }
}

const streamHeaders: readonly string[] = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache',
  'x-accel-buffering',
  'no',
];

/** Settles what was streamed, then sends what was kept back for that: the finish, usage where it was asked for, the end. */
async function settleStream(
  call: Call,
  answered: Answered<ChatRelay>,
  ended: RelayEnding,
  cap: number | null,
): Promise<void> {
  const { exchange, request, hold } = call;
  const relay = answered.answer;
  const estimate = estimateUsage(request.inputEstimate, relay.deliveredBytes);
  const told = readUsage(relay.usage, answered.target);
  const claimed = credible(told, relay.deliveredBytes);
  // Usage from before the end of a stream that broke off or was left may be older than what was delivered.
  const isStale = ended !== 'complete' && claimed !== null && claimed.output < estimate.output;
  const reported = isStale ? null : claimed;
  const nothingCame = isEmpty(told, relay.deliveredBytes);
  const nothingOwed =
    nothingCame || (!claimed && (ended === 'broken' || relay.deliveredBytes === 0));
  if (ended === 'lost') throw relay.failure ?? new SettlementLost('the lease has ended');
  const errorChunk = (usage: string): string =>
    relay.events.endChunk('error', `${brokenStream},"usage":${usage}`);
  if (ended !== 'complete' && nothingOwed) {
    await hold.release({ reason: reasonOf(call, ended) ?? ended });
    exchange.end(ended === 'left' ? leftEnd(call, relay) : errorChunk('{"cost":0}'), true);
    return;
  }
  // The prompt was counted before its answer: what came of it from a cache is known.
  const usage = reported ?? (isStale ? { ...claimed, output: estimate.output } : estimate);
  const ending = endingOf(call, answered, usage, reported !== null, {
    finishReason: finishOf(relay, ended),
    reason: reasonOf(call, ended) ?? (reported ? null : 'the provider reported no usage'),
  });
  const { health } = answered.target;
  const now = performance.now();
  if (ended === 'complete') health.delivered(usage.output, now - exchange.answeredAt, now);
  if (ended === 'broken') health.failed(now, 'broke off');
  let charged = nano(0);
  if (nothingCame) await hold.release({ reason: emptyAnswer });
  else charged = await hold.settle(ending);
  const text = usageTextOf(relay.usage, reported, usage, formatUsd(charged), cap);
  if (ended === 'broken') {
    exchange.end(errorChunk(text));
    return;
  }
  const finish =
    ended === 'complete' || (ended === 'left' && relay.withheld !== '')
      ? withReason(relay.withheld, endedBy(call, cap, relay.finishReason))
      : relay.events.endChunk('length', `,"ended_by":"${cutBy(call, ended)}"`);
  const last = request.includeUsage ? relay.events.usageChunk(text) : '';
  exchange.end(`${finish}${last}data: [DONE]\n\n`);
}

/** As it is in the last chunk: of a stream that we ended, our own. */
function finishOf({ withheld, finishReason }: ChatRelay, ended: RelayEnding): string | null {
  const isTheirs = ended === 'complete' || ended === 'broken' || (ended === 'left' && withheld);
  return isTheirs ? finishReason : 'length';
}

/** Why we ended a stream, for the client: one that left may read it later, where the stream is kept. */
function cutBy({ exchange, hold }: Call, ended: RelayEnding): string {
  if (ended === 'left') return exchange.isCancelled ? 'cancelled' : 'client_left';
  return ended === 'exhausted' ? hold.endedBy : 'output_limit';
}

/** The end of a stream that was left before anything of it was delivered. */
function leftEnd(call: Call, relay: ChatRelay): string {
  const finish = relay.events.endChunk('length', `,"ended_by":"${cutBy(call, 'left')}"`);
  return `${finish}data: [DONE]\n\n`;
}

/** Why a stream did not come to its end, for the receipt. */
function reasonOf({ exchange }: Call, ended: RelayEnding): string | undefined {
  return exchange.isCancelled && ended === 'left' ? 'the client cancelled it' : reasons[ended];
}

/** Puts what ended the answer into the chunk that brings its finish, the first of those withheld. */
function withReason(chunks: string, limit: string | null): string {
  return limit === null ? chunks : chunks.replace('data: {', `data: {"ended_by":"${limit}",`);
}

const reasons: Readonly<Partial<Record<RelayEnding, string>>> = {
  broken: 'the provider broke off',
  left: 'the client went away',
  exhausted: 'the wallet was used up',
  overrun: 'the provider did not keep to the limit',
};

const brokenStream = `,"error":${JSON.stringify(
  errorObject(
    new ApiError('no_provider', { message: 'The provider broke off while it was answering.' }),
  ),
)}`;

function coverageOf(
  { gateway, exchange, request, route, hold }: Call,
  { target: { offer }, attempts }: Answered<ChatRelay>,
  most: Nano,
): Coverage {
  // An estimate may be above what the model can read, which the hold pays for.
  const inputTokens = Math.min(request.inputEstimate, offer.contextLength);
  const { prices, text } = checkpointPrices(levelFor(offer.levels, inputTokens));
  return new Coverage(gateway.ledger, hold, {
    id: exchange.id,
    inputTokens,
    prices,
    most,
    basis: basisOf(exchange.startedAt, offer, attempts, route.model.id, text),
  });
}

function usageTextOf(
  raw: Readonly<Record<string, unknown>> | null,
  reported: Usage | null,
  usage: Usage,
  cost: string,
  cap: number | null,
): string {
  return raw && reported
    ? editMembers(JSON.stringify(raw), raw, usageEdits(cost, cap))
    : usageText(usage, cost, cap);
}
