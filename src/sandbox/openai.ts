/** Stands in for model providers that have no key: answers POST /v1/chat/completions on loopback as OpenAI would on the wire. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { models, providers } from '../catalogue/catalogue.ts';
import { providerVariables } from '../config.ts';
import { type Answer, answer, type Call, type Choice, randomId, type StandIn } from './answer.ts';
import { type ChatRequest, Refusal, readChatRequest } from './request.ts';

export interface Sandbox {
  /** `http://127.0.0.1:PORT/v1` */
  readonly baseUrl: string;
  /** Cuts open answers and stops listening. */
  close(): Promise<void>;
}

const largestBody = 64_000_000;

/** By the provider's name of the model; several providers may share one. */
function standIns(): Map<string, StandIn> {
  const found = new Map<string, StandIn>();
  for (const model of models.values())
    for (const { provider, upstreamModel } of model.offers) {
      if (found.has(upstreamModel)) continue;
      const dated = model.aliases.find((alias) => /-\d{4}-\d{2}-\d{2}$/.test(alias));
      found.set(upstreamModel, {
        title: model.name,
        snapshot: dated?.endsWith(upstreamModel + dated.slice(-11))
          ? upstreamModel + dated.slice(-11)
          : upstreamModel,
        provider,
        keyVariable: providerVariables(provider).apiKey,
        reasoning: model.reasoning,
        completionExcludesReasoning: providers.get(provider)?.completionExcludesReasoning === true,
      });
    }
  return found;
}

function usageOf({ promptTokens, choices }: Answer, model: StandIn): object {
  const visible = choices.reduce((sum, choice) => sum + choice.visibleTokens, 0);
  const reasoning = choices.reduce((sum, choice) => sum + choice.reasoningTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: model.completionExcludesReasoning ? visible : visible + reasoning,
    total_tokens: promptTokens + visible + reasoning,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** Made-up but well-formed: the token itself, then ever less likely others. */
function logprobOf(token: string, count: number): object {
  const entry = (text: string, rank: number) => ({
    token: text,
    logprob: -0.01 - rank,
    bytes: [...Buffer.from(text)],
  });
  const others = Array.from({ length: count }, (_, rank) =>
    entry(rank === 0 ? token : ` other${rank}`, rank),
  );
  return { ...entry(token, 0), top_logprobs: others };
}

function logprobsOf(tokens: readonly string[] | null, request: ChatRequest): object | null {
  if (!request.logprobs || tokens === null) return null;
  return {
    content: tokens.map((token) => logprobOf(token, request.topLogprobs)),
    refusal: null,
  };
}

function callBody({ id, kind, name }: Call, input: string): object {
  return kind === 'custom'
    ? { id, type: kind, custom: { name, input } }
    : { id, type: kind, function: { name, arguments: input } };
}

function completionBody(request: ChatRequest, model: StandIn, given: Answer): string {
  const choices = given.choices.map((choice, index) => ({
    index,
    message: {
      role: 'assistant',
      content: choice.text?.join('') ?? null,
      ...(choice.calls.length > 0
        ? { tool_calls: choice.calls.map((call) => callBody(call, call.input.join(''))) }
        : {}),
      refusal: null,
      annotations: [],
    },
    logprobs: logprobsOf(choice.text, request),
    finish_reason: choice.finish,
  }));
  return JSON.stringify({
    id: randomId('chatcmpl-'),
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: model.snapshot,
    choices,
    usage: usageOf(given, model),
    service_tier: 'default',
    system_fingerprint: 'fp_sandbox',
  });
}

interface Delta {
  readonly delta: object;
  readonly logprobs: object | null;
  readonly finish_reason: string | null;
}

function* callDeltas(call: Call, index: number): Generator<object> {
  yield { tool_calls: [{ index, ...callBody(call, '') }] };
  const field = call.kind === 'custom' ? 'custom' : 'function';
  const member = call.kind === 'custom' ? 'input' : 'arguments';
  for (const token of call.input) yield { tool_calls: [{ index, [field]: { [member]: token } }] };
}

function* deltasOf(choice: Choice, request: ChatRequest): Generator<Delta> {
  const content = choice.text === null ? null : '';
  const role = { role: 'assistant', content, refusal: null };
  yield { delta: role, logprobs: null, finish_reason: null };
  for (const token of choice.text ?? []) {
    const logprobs = logprobsOf([token], request);
    yield { delta: { content: token }, logprobs, finish_reason: null };
  }
  for (const [index, call] of choice.calls.entries())
    for (const delta of callDeltas(call, index))
      yield { delta, logprobs: null, finish_reason: null };
  yield { delta: {}, logprobs: null, finish_reason: choice.finish };
}

/** The `data:` lines of a stream; several choices take turns. */
function* chunks(request: ChatRequest, model: StandIn, given: Answer): Generator<string> {
  const base = {
    id: randomId('chatcmpl-'),
    object: 'chat.completion.chunk',
    created: Math.floor(Date.now() / 1000),
    model: model.snapshot,
    service_tier: 'default',
    system_fingerprint: 'fp_sandbox',
  };
  const none = request.includeUsage ? { usage: null } : {};
  let turns = given.choices.map((choice, index) => ({ index, deltas: deltasOf(choice, request) }));
  while (turns.length > 0) {
    const going: typeof turns = [];
    for (const turn of turns) {
      const { value, done } = turn.deltas.next();
      if (done) continue;
      yield JSON.stringify({ ...base, choices: [{ index: turn.index, ...value }], ...none });
      going.push(turn);
    }
    turns = going;
  }
  if (request.includeUsage)
    yield JSON.stringify({ ...base, choices: [], usage: usageOf(given, model) });
  yield '[DONE]';
}

async function stream(
  lines: Iterable<string>,
  response: ServerResponse,
  paceMs: number,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
  });
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  for (const line of lines) {
    if (gone.signal.aborted) return;
    if (!response.write(`data: ${line}\n\n`))
      await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
    if (paceMs > 0 && line !== '[DONE]') await sleep(paceMs);
  }
  response.end();
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > largestBody) throw new Refusal(413, 'The request is too large.', null);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString();
}

function modelList(known: ReadonlyMap<string, StandIn>): string {
  const data = [...known].map(([id, { provider }]) => ({
    id,
    object: 'model',
    created: 1763900000,
    owned_by: provider,
  }));
  return JSON.stringify({ object: 'list', data });
}

function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  known: ReadonlyMap<string, StandIn>,
  paceMs: number,
): Promise<void> {
  const started = performance.now();
  response.setHeader('x-request-id', randomId('req_'));
  response.setHeader('openai-version', '2020-10-01');
  const where = `${request.method} ${request.url}`;
  if (where === 'GET /v1/models') return sendJson(response, 200, modelList(known));
  if (where !== 'POST /v1/chat/completions') throw new Refusal(404, `Invalid URL (${where})`, null);
  const chat = readChatRequest(await readBody(request));
  const model = known.get(chat.model);
  if (!model)
    throw new Refusal(404, `The model '${chat.model}' does not exist.`, 'model_not_found', 'model');
  const given = answer(chat, model);
  response.setHeader('openai-processing-ms', Math.ceil(performance.now() - started));
  if (chat.stream) await stream(chunks(chat, model, given), response, paceMs);
  else sendJson(response, 200, completionBody(chat, model, given));
}

function refuse(error: unknown, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal =
    error instanceof Refusal ? error : new Refusal(500, 'The sandbox failed.', 'server_error');
  if (refusal.status === 413) response.setHeader('connection', 'close');
  sendJson(response, refusal.status, refusal.body());
}

/**
 * Listens on a free port of 127.0.0.1. Needs no key: whoever is on this machine may ask.
 * @param options.paceMs between the chunks of a stream
 */
export async function startSandboxProvider({ paceMs = 4 } = {}): Promise<Sandbox> {
  const known = standIns();
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    handle(request, response, known, paceMs).catch((error: unknown) => refuse(error, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The sandbox has no port.');
  return {
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
