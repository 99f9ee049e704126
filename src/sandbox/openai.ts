/** OpenAI's form of a stand-in: `POST /v1/chat/completions` and `GET /v1/models`, on the wire as OpenAI has them. */

import {
  type Answer,
  answer,
  type Call,
  type Choice,
  randomId,
  type StandIn,
  tokensOfMedia,
} from './answer.ts';
import type { Form, Reply } from './form.ts';
import { type ChatRequest, Refusal, readChatRequest } from './request.ts';

function usageOf(
  { promptTokens, choices }: Answer,
  model: StandIn,
  { messages }: ChatRequest,
): object {
  const sounds = messages.reduce((sum, { media }) => sum + (media.input_audio ?? 0), 0);
  const visible = choices.reduce((sum, choice) => sum + choice.visibleTokens, 0);
  const reasoning = choices.reduce((sum, choice) => sum + choice.reasoningTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: model.completionExcludesReasoning ? visible : visible + reasoning,
    total_tokens: promptTokens + visible + reasoning,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: sounds * tokensOfMedia },
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
    usage: usageOf(given, model, request),
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

/** The events of a stream; several choices take turns. */
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
      yield `data: ${JSON.stringify({ ...base, choices: [{ index: turn.index, ...value }], ...none })}`;
      going.push(turn);
    }
    turns = going;
  }
  if (request.includeUsage)
    yield `data: ${JSON.stringify({ ...base, choices: [], usage: usageOf(given, model, request) })}`;
  yield 'data: [DONE]';
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

function reply(where: string, body: string, known: ReadonlyMap<string, StandIn>): Reply {
  const started = performance.now();
  if (where === 'GET /v1/models') return { json: modelList(known) };
  // The second is Vertex AI's.
  if (!/^POST \/v1(?:\/endpoints\/openapi)?\/chat\/completions$/.test(where))
    throw new Refusal(404, `Invalid URL (${where})`, null);
  const chat = readChatRequest(body);
  const model = known.get(chat.model);
  if (!model)
    throw new Refusal(404, `The model '${chat.model}' does not exist.`, 'model_not_found', 'model');
  const given = answer(chat, model);
  const headers = { 'openai-processing-ms': String(Math.ceil(performance.now() - started)) };
  if (!chat.stream) return { headers, json: completionBody(chat, model, given) };
  return { headers, events: chunks(chat, model, given) };
}

export const openaiForm: Form = {
  // Whatever nobody else takes.
  takes: () => true,
  reply: ({ where, body }, known) => reply(where, body, known),
  headers: () => ({ 'x-request-id': randomId('req_'), 'openai-version': '2020-10-01' }),
  refusal: (refusal) => refusal.body(),
};
