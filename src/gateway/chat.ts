/**
 * POST /v1/chat/completions: the story of a request, top-down.
 *
 * The order of checks: key, address, rate, body, model, money. Money moves in three places: `OpenHold.take` before the
 * provider's answer may be delivered, `settle` before the last byte of it, `release` where nothing is owed.
 */

import { editMembers } from '../dialects/members.ts';
import { type ChatTarget, readUsage, writeChatRequest } from '../dialects/openai.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import { ApiError, errorObject } from '../errors.ts';
import { SettlementLost } from '../wallet/failure.ts';
import type { Ledger } from '../wallet/ledger.ts';
import { costOf, formatUsd, type Nano, nano } from '../wallet/money.ts';
import type { Limits } from './admit.ts';
import { type Answered, type Attempt, firstAnswer } from './attempts.ts';
import { authenticate, type KeyDirectory } from './authenticate.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { Route, Routes, Target } from './choose.ts';
import { Coverage } from './coverage.ts';
import { ClientLeft, type Exchange } from './exchange.ts';
import { type AppliedPrices, type Bound, boundOf, estimateUsage, priceUsage } from './meter.ts';
import { type Ending, OpenHold } from './open_hold.ts';
import { ChatRelay, type RelayEnding, type RelaySettings } from './relay.ts';
import { UpstreamBroken, type Upstreams } from './upstream.ts';

export interface Gateway {
  readonly keys: KeyDirectory;
  readonly limits: Limits;
  readonly routes: Routes;
  readonly upstreams: Upstreams;
  readonly ledger: Ledger;
  readonly relay: RelaySettings;
  readonly maxBodyBytes: number;
  readonly trustedProxies: number;
}

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
      throw error;
    }
  } finally {
    leave();
  }
}

/** Everything that one call needs on its way. */
interface Call {
  readonly gateway: Gateway;
  readonly exchange: Exchange;
  readonly request: ChatRequest;
  readonly route: Route;
  readonly plan: Plan;
  readonly hold: OpenHold;
}

/** What a call may use, and what is held for it. */
interface Plan {
  readonly bound: Bound;
  /** Tokens of output that the client's limit, or else the model's, allows; over all choices. */
  readonly allowedTokens: number;
  readonly wanted: Nano;
  readonly least: Nano;
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
  const first = request.stream ? Math.min(allowedTokens, firstStreamTokens) : allowedTokens;
  const isExplicit = request.maxTokens !== null;
  // Without a limit of the client's own, an answer as long as the wallet can pay is better than none.
  const shortest = isExplicit && !request.stream ? first : Math.min(first, shortestAnswerTokens);
  return { bound, allowedTokens, wanted: costWith(first), least: costWith(shortest) };
}

/** The cap that an answer in one piece is given: what its hold pays for. Null where the client's own limit, or the model's, is all paid for. */
function capOf({ request, plan, hold }: Call): number | null {
  if (request.stream || hold.granted >= plan.wanted || plan.bound.outputPrice === 0) return null;
  const tokens = Math.floor(((hold.granted - plan.bound.input) * 1000) / plan.bound.outputPrice);
  return Math.max(1, Math.floor(tokens / request.choices));
}

async function wholeAnswer(call: Call): Promise<void> {
  const { gateway, exchange, request, route, hold } = call;
  const cap = capOf(call);
  const answered = await firstAnswer(call, requestWriter(request, cap), async (upstream) =>
    readWhole(await upstream.text(gateway.upstreams.maxAnswerBytes)),
  );
  const { text, parsed } = answered.answer;
  const reported = readUsage(parsed.usage, answered.target.completionExcludesReasoning);
  const usage = reported ?? estimateUsage(request.inputEstimate, generatedBytes(parsed));
  await hold.confirmed.catch(() => bookRefused(call, { target: answered.target, usage }));
  const ending = endingOf(call, answered, usage, reported !== null, {
    finishReason: finishReasonOf(parsed),
    reason: reported ? null : 'the provider reported no usage',
  });
  const charged = await hold.settle(ending);
  if (exchange.left) return;
  const cost = formatUsd(charged);
  const withCost = (old: string): string => withCostIn(old, cost);
  const body = editMembers(text, parsed, {
    id: `"chatcmpl-${exchange.plainId}"`,
    model: JSON.stringify(route.model.id),
    usage: reported ? withCost : usageText(usage, cost),
  });
  const clamped = cap === null ? [] : ['x-max-tokens-clamped', String(cap)];
  exchange.json(body, ['x-cost-usd', cost, ...clamped]);
}

async function streamAnswer(call: Call): Promise<void> {
  const { gateway, exchange, request, route, plan, hold } = call;
  let coverage: Coverage | null = null;
  let covered: Promise<void> = Promise.resolve();
  const write = requestWriter(request, null);
  const answered = await firstAnswer(call, write, async (upstream, target) => {
    if (!/^text\/event-stream\b/i.test(upstream.header('content-type')))
      throw new UpstreamBroken('the provider did not stream');
    // The first checkpoint is committed while the provider thinks.
    coverage = coverageOf(call, target);
    covered = coverage.raise(0);
    covered.catch(() => {});
    const id = `"chatcmpl-${exchange.plainId}"`;
    const model = JSON.stringify(route.model.id);
    const relay = new ChatRelay(upstream, request.choices, id, model, gateway.relay);
    await relay.opened;
    return relay;
  });
  const relay = answered.answer;
  await covered.catch((error: unknown) => {
    relay.abandon();
    throw hold.refused ?? error;
  });
  exchange.head(streamHeaders);
  const isAlive = (): boolean => gateway.ledger.lease.isAlive();
  relay.start(exchange, coverage ?? coverageOf(call, answered.target), plan.allowedTokens, isAlive);
  const ended = await relay.ended;
  await settleStream(call, answered, ended);
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
): Promise<void> {
  const { exchange, request, hold } = call;
  const relay = answered.answer;
  const { response } = exchange;
  const excludes = answered.target.completionExcludesReasoning;
  const reported = relay.usage && readUsage(relay.usage, excludes);
  const nothingOwed = !reported && (ended === 'broken' || relay.deliveredBytes === 0);
  if (ended === 'lost') throw relay.failure ?? new SettlementLost('the lease has ended');
  const errorChunk = (): string => relay.events.endChunk('error', brokenStream);
  if (ended !== 'complete' && nothingOwed) {
    await hold.release({ reason: reasons[ended] ?? ended });
    if (!exchange.left) response.end(errorChunk(), 'latin1');
    return;
  }
  const usage = reported ?? estimateUsage(request.inputEstimate, relay.deliveredBytes);
  const ending = endingOf(call, answered, usage, reported !== null, {
    finishReason: ended === 'exhausted' ? 'length' : relay.finishReason,
    reason: reasons[ended] ?? (reported ? null : 'the provider reported no usage'),
  });
  const charged = await hold.settle(ending);
  if (exchange.left) return;
  if (ended === 'broken') {
    response.end(errorChunk(), 'latin1');
    return;
  }
  const finish =
    ended === 'complete'
      ? relay.withheld
      : relay.events.endChunk(
          'length',
          `,"ended_by":"${ended === 'exhausted' ? 'insufficient_credits' : 'output_limit'}"`,
        );
  const text = usageTextOf(relay.usage, reported, usage, formatUsd(charged));
  const last = request.includeUsage ? relay.events.usageChunk(text) : '';
  response.end(`${finish}${last}data: [DONE]\n\n`, 'latin1');
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

function coverageOf({ gateway, exchange, request, hold }: Call, target: Target): Coverage {
  const input = estimateUsage(request.inputEstimate, 0);
  const { cost, prices } = priceUsage(input, target.offer);
  return new Coverage(gateway.ledger, hold, {
    id: exchange.id,
    inputTokens: request.inputEstimate,
    inputCost: cost,
    outputPrice: Math.max(prices.output, prices.reasoning),
  });
}

function requestWriter(request: ChatRequest, cap: number | null): (target: Target) => string {
  return ({ offer, tokenLimitField }) => {
    const chatTarget: ChatTarget = { upstreamModel: offer.upstreamModel, tokenLimitField, cap };
    return writeChatRequest(request, chatTarget);
  };
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  // as: any object may be read by name
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** @throws UpstreamBroken for what is no chat completion */
function readWhole(text: string): { text: string; parsed: Fields } {
  let parsed: Fields;
  try {
    parsed = fields(JSON.parse(text));
  } catch (cause) {
    throw new UpstreamBroken('the answer is not JSON', { cause });
  }
  if (parsed.error || !Array.isArray(parsed.choices) || parsed.choices.length === 0)
    throw new UpstreamBroken('the answer is no chat completion');
  return { text, parsed };
}

function finishReasonOf(parsed: Fields): string | null {
  const [choice] = Array.isArray(parsed.choices) ? parsed.choices : [];
  const { finish_reason } = fields(choice);
  return typeof finish_reason === 'string' ? finish_reason : null;
}

function generatedBytes(parsed: Fields): number {
  const choices = Array.isArray(parsed.choices) ? parsed.choices : [];
  return choices.reduce((sum: number, choice) => {
    const { content, reasoning_content, tool_calls } = fields(fields(choice).message);
    const texts = [content, reasoning_content, tool_calls && JSON.stringify(tool_calls)];
    return texts.reduce(
      (bytes: number, text) => bytes + (typeof text === 'string' ? Buffer.byteLength(text) : 0),
      sum,
    );
  }, 0);
}

/** The provider's usage object with the cost put in front. */
function withCostIn(usage: string, cost: string): string {
  const rest = usage.slice(1).trimStart();
  return `{"cost":${cost}${rest.startsWith('}') ? '' : ','}${rest}`;
}

/** Usage of our own counting. */
function usageText(usage: Usage, cost: string): string {
  const prompt = promptTokens(usage);
  const total = prompt + usage.output;
  return `{"cost":${cost},"prompt_tokens":${prompt},"completion_tokens":${usage.output},"total_tokens":${total},"estimated":true}`;
}

function usageTextOf(
  raw: Fields | null,
  reported: Usage | null,
  usage: Usage,
  cost: string,
): string {
  return raw && reported
    ? withCostIn(JSON.stringify({ ...raw, cost: undefined }), cost)
    : usageText(usage, cost);
}

interface Circumstances {
  readonly finishReason: string | null;
  readonly reason: string | null;
}

/** The settlement of an answer: what it cost, how much of it the client's limits cover, and what explains both. */
function endingOf(
  { exchange, request, plan, hold }: Call,
  { target, attempts }: { readonly target: Target; readonly attempts: readonly Attempt[] },
  usage: Usage,
  isReported: boolean,
  { finishReason, reason }: Circumstances,
): Ending {
  const { cost, prices } = priceUsage(usage, target.offer);
  const limit = plan.bound.input + costOf([[plan.allowedTokens, plan.bound.outputPrice]]);
  const mostCharged = request.stream ? limit : hold.granted;
  return {
    outcome: isReported ? 'settled' : 'estimated',
    cost,
    chargeable: nano(Math.min(cost, mostCharged)),
    provider: target.offer.provider,
    inputTokens: promptTokens(usage),
    outputTokens: usage.output,
    detail: explanation(exchange, target, attempts, usage, prices, {
      finishReason,
      reason,
      reportedBy: isReported ? 'provider' : 'estimate',
    }),
  };
}

function explanation(
  exchange: Exchange,
  target: Target,
  attempts: readonly Attempt[],
  usage: Usage,
  prices: AppliedPrices,
  circumstances: object,
): object {
  const { flags, ...tokens } = usage;
  return {
    ...circumstances,
    upstreamModel: target.offer.upstreamModel,
    priceVersion: target.offer.priceVersion,
    tokens,
    prices,
    durationMs: Math.round(performance.now() - exchange.startedAt),
    ...(flags.length > 0 ? { flags } : {}),
    ...(attempts.length > 0 ? { failedAttempts: attempts } : {}),
  };
}

/**
 * The provider was called while the hold travelled, and then the hold was refused: the operator pays, for the answer
 * where it is known, else for the prompt. Booked once, by whoever comes first.
 * @throws the refusal
 */
async function bookRefused(
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
    // Recovery has it.
  });
}
