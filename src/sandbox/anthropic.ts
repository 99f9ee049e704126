/** Anthropic's form of a stand-in: `POST /v1/messages`, on the wire as Anthropic has it. */
import { createHash } from 'node:crypto';
import { type Answer, answer, type Call, type Choice, randomId, type StandIn } from './answer.ts';
import { invalid, object, oneOf } from './anthropic_checks.ts';
import { type MessagesRequest, readMessagesRequest } from './anthropic_request.ts';
import { signatureOf } from './anthropic_turns.ts';
import type { Asked, Form, Reply } from './form.ts';
import { Refusal } from './request.ts';
import { countTokens, tokenise } from './tokens.ts';

const vertexPath =
  /^POST \/v1\/publishers\/anthropic\/models\/([^/:]+):(rawPredict|streamRawPredict)$/;
const versions = ['2023-06-01', '2026-10-21'];
const lifetimesMs = { '5m': 300_000, '1h': 3_600_000 } as const;
const mostCached = 1000;

/** When what stands in the cache is forgotten, in ms since 1970, by the hash of a prompt's beginning. */
const cache = new Map<string, number>();

/** Tokens that were read from the cache and written to it. Shorter beginnings are cached than the real ones would be. */
function cacheUse({ cached, model }: MessagesRequest, promptTokens: number): object {
  if (!cached)
    return {
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      input_tokens: promptTokens,
    };
  const key = createHash('sha256').update(`${model}\n${cached.text}`).digest('base64');
  const tokens = Math.min(promptTokens - 1, countTokens(cached.text));
  const isKnown = (cache.get(key) ?? 0) > Date.now();
  if (cache.size >= mostCached) cache.clear();
  cache.set(key, Date.now() + lifetimesMs[cached.ttl]);
  const written = isKnown ? 0 : tokens;
  return {
    input_tokens: promptTokens - tokens,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: tokens - written,
    cache_creation: {
      ephemeral_5m_input_tokens: cached.ttl === '5m' ? written : 0,
      ephemeral_1h_input_tokens: cached.ttl === '1h' ? written : 0,
    },
  };
}

/** Made-up, as long as the tokens that were counted for it. */
export function thoughts({ reasoningTokens }: Choice): string[] {
  const sentence = 'The stand-in thinks about what was said, and then about it once more. ';
  const times = Math.ceil((reasoningTokens * 4) / sentence.length) + 1;
  return tokenise(sentence.repeat(times)).slice(0, reasoningTokens);
}

export function stopReason({ finish, calls }: Choice): string {
  if (finish === 'length') return 'max_tokens';
  return calls.length > 0 ? 'tool_use' : 'end_turn';
}

function outputOf(choice: Choice): object {
  return {
    output_tokens: choice.visibleTokens + choice.reasoningTokens,
    output_tokens_details: { thinking_tokens: choice.reasoningTokens },
  };
}

const unused = { server_tool_use: null, service_tier: 'standard' };

interface Said {
  readonly request: MessagesRequest;
  readonly model: StandIn;
  readonly choice: Choice;
  /** Usage of the prompt. */
  readonly input: object;
}

function thinkingOf({ request, choice }: Said): string[] | null {
  if (request.thinking === null || choice.reasoningTokens === 0) return null;
  return request.thinking === 'omitted' ? [] : thoughts(choice);
}

function inputText({ input }: Call): string {
  return input.join('');
}

/** Where the limit cut the arguments, what is left of them is no JSON. */
export function inputOf(call: Call): unknown {
  try {
    return JSON.parse(inputText(call));
  } catch {
    return {};
  }
}

function toolUse(call: Call, input: unknown): object {
  return { type: 'tool_use', id: call.id.replace(/^call_/, 'toolu_'), name: call.name, input };
}

function contentOf(said: Said): object[] {
  const { choice } = said;
  const thinking = thinkingOf(said)?.join('');
  return [
    ...(thinking === undefined
      ? []
      : [{ type: 'thinking', thinking, signature: signatureOf(thinking) }]),
    ...(choice.text?.length ? [{ type: 'text', text: choice.text.join(''), citations: null }] : []),
    ...choice.calls.map((call) => toolUse(call, inputOf(call))),
  ];
}

function messageOf(said: Said, content: object[], stop: string | null, usage: object): object {
  return {
    id: randomId('msg_'),
    type: 'message',
    role: 'assistant',
    model: said.request.model,
    content,
    stop_reason: stop,
    stop_sequence: null,
    stop_details: null,
    usage: { ...said.input, ...usage, ...unused },
  };
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}`;
}

function* blockEvents(index: number, start: object, deltas: Iterable<object>): Generator<string> {
  yield event('content_block_start', { index, content_block: start });
  for (const delta of deltas) yield event('content_block_delta', { index, delta });
  yield event('content_block_stop', { index });
}

function* thinkingDeltas(tokens: readonly string[]): Generator<object> {
  for (const thinking of tokens) yield { type: 'thinking_delta', thinking };
  yield { type: 'signature_delta', signature: signatureOf(tokens.join('')) };
}

function* inputDeltas({ input }: Call): Generator<object> {
  yield { type: 'input_json_delta', partial_json: '' };
  // Without arguments the real one says nothing more.
  if (input.join('') === '{}') return;
  for (const partial_json of input) yield { type: 'input_json_delta', partial_json };
}

function* events(said: Said): Generator<string> {
  const { choice } = said;
  const message = messageOf(said, [], null, { output_tokens: 1 });
  yield event('message_start', { message });
  yield event('ping', {});
  let index = 0;
  const thinking = thinkingOf(said);
  if (thinking) {
    const start = { type: 'thinking', thinking: '', signature: '' };
    yield* blockEvents(index++, start, thinkingDeltas(thinking));
  }
  if (choice.text?.length) {
    const deltas = choice.text.map((text) => ({ type: 'text_delta', text }));
    yield* blockEvents(index++, { type: 'text', text: '' }, deltas);
  }
  for (const call of choice.calls)
    yield* blockEvents(index++, toolUse(call, {}), inputDeltas(call));
  const delta = { stop_reason: stopReason(choice), stop_sequence: null };
  yield event('message_delta', { delta, usage: outputOf(choice) });
  yield event('message_stop', {});
}

/** @throws Refusal as Anthropic's own gate would */
function checkHeaders({ headers }: Asked): void {
  const version = headers['anthropic-version'];
  if (version === undefined) throw new Refusal(400, 'anthropic-version: header is required', null);
  if (!versions.includes(String(version)))
    throw new Refusal(400, `anthropic-version: "${version}" is not a valid version`, null);
  if (!headers['x-api-key'] && !headers.authorization)
    throw new Refusal(401, 'x-api-key header is required', null);
}

function saidTo(request: MessagesRequest, model: StandIn, given: Answer): Said {
  const [choice] = given.choices;
  if (!choice) throw new Error('A stand-in gives at least one choice.');
  return { request, model, choice, input: cacheUse(request, given.promptTokens) };
}

/** The same request at Vertex AI, where the path names the model. @throws Refusal */
function bodyAtVertex({ headers, body }: Asked, model: string, method: string | undefined): string {
  if (!/^Bearer ./.test(headers.authorization ?? ''))
    throw new Refusal(401, 'Request is missing required authentication credential.', null);
  const { anthropic_version, ...request } = object(JSON.parse(body), 'body');
  oneOf(anthropic_version, 'anthropic_version', 'vertex-2023-10-16');
  if (request.model !== undefined) throw invalid('model: Extra inputs are not permitted');
  if ((request.stream === true) !== (method === 'streamRawPredict'))
    throw invalid('stream: is told by the method');
  return JSON.stringify({ ...request, model });
}

function reply(asked: Asked, known: ReadonlyMap<string, StandIn>): Reply {
  const [, name, method] = vertexPath.exec(asked.where) ?? [];
  if (name === undefined) checkHeaders(asked);
  const body = name === undefined ? asked.body : bodyAtVertex(asked, name, method);
  const { request, model } = readMessagesRequest(body, known);
  const said = saidTo(request, model, answer(request, model));
  if (request.stream) return { events: events(said) };
  const { choice } = said;
  const message = messageOf(said, contentOf(said), stopReason(choice), outputOf(choice));
  return { json: JSON.stringify(message) };
}

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  404: 'not_found_error',
  413: 'request_too_large',
  500: 'api_error',
};

export const anthropicForm: Form = {
  takes: (where) => /^POST \/v1\/messages(\?|$)/.test(where) || vertexPath.test(where),
  reply,
  headers: () => ({ 'request-id': randomId('req_') }),
  refusal: ({ status, message }) =>
    JSON.stringify({
      type: 'error',
      error: { type: errorTypes[status] ?? 'invalid_request_error', message },
    }),
};
