/** Amazon Bedrock's form of a stand-in: Converse and ConverseStream, on the wire as Amazon has them. */
import { framed } from '../dialects/event_stream.ts';
import { type Answer, answer, type Choice, randomId, type StandIn } from './answer.ts';
import { inputOf, stopReason, thoughts } from './anthropic.ts';
import { signatureOf } from './anthropic_turns.ts';
import { type ConverseRequest, readConverseRequest } from './bedrock_request.ts';
import type { Asked, Form, Reply } from './form.ts';
import { isObject, Refusal } from './request.ts';

const path = /^POST \/v1\/model\/([^/?]+)\/(converse|converse-stream)$/;

/** Null where none is shown. */
function thoughtsOf(choice: Choice, { thinks }: ConverseRequest): string[] | null {
  return thinks && choice.reasoningTokens > 0 ? thoughts(choice) : null;
}

function usageOf({ promptTokens }: Answer, choice: Choice, { isCached }: ConverseRequest): object {
  // All but the last token, and nothing was read: enough to see that caches are counted beside the rest.
  const written = isCached ? promptTokens - 1 : 0;
  const outputTokens = choice.visibleTokens + choice.reasoningTokens;
  return {
    inputTokens: promptTokens - written,
    outputTokens,
    totalTokens: promptTokens + outputTokens,
    cacheReadInputTokens: 0,
    cacheWriteInputTokens: written,
  };
}

/** A signature is Claude's only. */
function signed(text: string, { author }: StandIn): object {
  return author === 'anthropic' ? { signature: signatureOf(text) } : {};
}

function callId(id: string): string {
  return id.replace(/^call_/, 'tooluse_');
}

function wholeAnswer(
  request: ConverseRequest,
  model: StandIn,
  given: Answer,
  choice: Choice,
): string {
  const thoughts = thoughtsOf(choice, request)?.join('');
  const content = [
    ...(thoughts === undefined
      ? []
      : [{ reasoningContent: { reasoningText: { text: thoughts, ...signed(thoughts, model) } } }]),
    ...(choice.text?.length ? [{ text: choice.text.join('') }] : []),
    ...choice.calls.map((call) => ({
      toolUse: { toolUseId: callId(call.id), name: call.name, input: inputOf(call) },
    })),
  ];
  return JSON.stringify({
    metrics: { latencyMs: 1 },
    output: { message: { role: 'assistant', content } },
    stopReason: stopReason(choice),
    usage: usageOf(given, choice, request),
  });
}

function message(type: string, data: object): Buffer {
  const headers = {
    ':event-type': type,
    ':content-type': 'application/json',
    ':message-type': 'event',
  };
  // Padding, against guesses from lengths.
  return framed({ headers, payload: JSON.stringify({ ...data, p: 'abcdef' }) });
}

function* deltas(contentBlockIndex: number, each: Iterable<object>): Generator<Buffer> {
  for (const delta of each) yield message('contentBlockDelta', { contentBlockIndex, delta });
  yield message('contentBlockStop', { contentBlockIndex });
}

function* frames(
  request: ConverseRequest,
  model: StandIn,
  given: Answer,
  choice: Choice,
): Generator<Buffer> {
  yield message('messageStart', { role: 'assistant' });
  let index = 0;
  const thoughts = thoughtsOf(choice, request);
  if (thoughts) {
    const end = signed(thoughts.join(''), model);
    const pieces = [...thoughts.map((text) => ({ text })), ...('signature' in end ? [end] : [])];
    yield* deltas(
      index++,
      pieces.map((reasoningContent) => ({ reasoningContent })),
    );
  }
  if (choice.text?.length)
    yield* deltas(
      index++,
      choice.text.map((text) => ({ text })),
    );
  for (const { id, name, input } of choice.calls) {
    const start = { toolUse: { toolUseId: callId(id), name } };
    yield message('contentBlockStart', { contentBlockIndex: index, start });
    const pieces = input.join('') === '{}' ? [''] : input;
    yield* deltas(
      index++,
      pieces.map((piece) => ({ toolUse: { input: piece } })),
    );
  }
  yield message('messageStop', { stopReason: stopReason(choice) });
  const usage = usageOf(given, choice, request);
  yield message('metadata', { metrics: { latencyMs: 1 }, usage });
}

function reply({ where, headers, body }: Asked, known: ReadonlyMap<string, StandIn>): Reply {
  const [, encoded = '', method] = path.exec(where) ?? [];
  if (!/^Bearer ./.test(headers.authorization ?? ''))
    throw new Refusal(403, 'Authorization header is missing', null);
  const name = decodeURIComponent(encoded);
  const model = known.get(name);
  if (!model) throw new Refusal(400, 'The provided model identifier is invalid.', null);
  const parsed: unknown = JSON.parse(body);
  if (!isObject(parsed)) throw new Refusal(400, 'The request is no JSON object.', null);
  const isStreamed = method === 'converse-stream';
  const request = readConverseRequest(parsed, name, model, isStreamed);
  const given = answer(request, model);
  const [choice] = given.choices;
  if (!choice) throw new Error('A stand-in gives at least one choice.');
  if (!isStreamed) return { json: wholeAnswer(request, model, given, choice) };
  return {
    frames: frames(request, model, given, choice),
    contentType: 'application/vnd.amazon.eventstream',
  };
}

export const bedrockForm: Form = {
  takes: (where) => path.test(where),
  reply,
  headers: () => ({ 'x-amzn-requestid': randomId('') }),
  refusal: ({ message: text }) => JSON.stringify({ message: text }),
};
