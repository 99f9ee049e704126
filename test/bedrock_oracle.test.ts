/**
 * A second opinion: Vercel's provider for Amazon Bedrock is given the same bytes as our dialect, those of its cases and those of
 * the stand-in, and must find the same text, reasoning, calls, usage and end in them; and the stand-in must understand what that
 * provider asks by itself.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { bedrock } from '../src/dialects/bedrock.ts';
import { framed } from '../src/dialects/event_stream.ts';
import { type Fields, fields } from '../src/dialects/members.ts';
import { readUsage } from '../src/dialects/openai.ts';
import { promptTokens } from '../src/dialects/usage.ts';
import { startSandboxProvider } from '../src/sandbox/provider.ts';

const folder = join(import.meta.dirname, '../src/dialects/fixtures/bedrock');
const streamType = 'application/vnd.amazon.eventstream';

/** What an answer says, whoever reads it. */
interface Reading {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  readonly finish: string;
  readonly usage: Fields;
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

/** Vercel's parts of content, or those of its stream. */
function theirs(parts: readonly Fields[], finish: unknown, usage: unknown): Reading {
  const textOf = (type: string): string =>
    parts
      .filter((part) => part.type === type)
      .map((part) => part.text ?? part.delta)
      .join('');
  const { inputTokens, outputTokens } = fields(usage);
  return {
    text: textOf('text') + textOf('text-delta'),
    reasoning: textOf('reasoning') + textOf('reasoning-delta'),
    calls: parts
      .filter(({ type }) => type === 'tool-call')
      .map(({ toolName, input }) => ({ name: String(toolName), input: JSON.parse(String(input)) })),
    finish: String(fields(finish).unified).replace('-', '_'),
    usage: {
      input: fields(inputTokens).total,
      cacheRead: fields(inputTokens).cacheRead,
      cacheWrite: fields(inputTokens).cacheWrite,
      output: fields(outputTokens).total,
    },
  };
}

/** Our deltas, or our one message. */
function ours(messages: readonly Fields[], finish: unknown, raw: unknown): Reading {
  const usage = readUsage(raw, { cacheCounted: 'inside', completionExcludesReasoning: false });
  assert.ok(usage);
  const calls = new Map<unknown, { name: unknown; text: string }>();
  for (const call of messages.flatMap((message) => list(message.tool_calls))) {
    const { name, arguments: piece } = fields(call.function);
    const before = calls.get(call.index ?? call.id) ?? { name, text: '' };
    calls.set(call.index ?? call.id, { ...before, text: `${before.text}${piece}` });
  }
  return {
    text: messages.map(({ content }) => content ?? '').join(''),
    reasoning: messages.map(({ reasoning }) => reasoning ?? '').join(''),
    calls: [...calls.values()].map(({ name, text }) => ({
      name: String(name),
      input: JSON.parse(text),
    })),
    finish: String(finish),
    usage: {
      input: promptTokens(usage),
      cacheRead: usage.cacheRead,
      cacheWrite: usage.cacheWrite + usage.cacheWrite1h,
      output: usage.output,
    },
  };
}

const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'a' }] }];

function modelAnswering(body: Buffer | string, contentType: string) {
  const headers = { 'content-type': contentType };
  const answer = typeof body === 'string' ? body : new Uint8Array(body);
  const fetched = async (): Promise<Response> => new Response(answer, { headers });
  const provider = createAmazonBedrock({ apiKey: 'k', region: 'us-east-1', fetch: fetched });
  return provider('anthropic.claude-sonnet-4-6');
}

async function wholeReadings(text: string, request: Fields): Promise<[Reading, Reading]> {
  const read = await modelAnswering(text, 'application/json').doGenerate({ prompt });
  const answer = fields(JSON.parse(bedrock.readWhole(text, { text: '', parsed: request })));
  const [choice] = list(answer.choices);
  return [
    ours([fields(choice?.message)], choice?.finish_reason, answer.usage),
    theirs(list(read.content), read.finishReason, read.usage),
  ];
}

async function streamReadings(bytes: Buffer, request: Fields): Promise<[Reading, Reading]> {
  const { stream } = await modelAnswering(bytes, streamType).doStream({ prompt });
  const parts: Fields[] = [];
  for await (const each of stream) parts.push(fields(each));
  const end = parts.find(({ type }) => type === 'finish');
  const reader = bedrock.readStream(1_000_000, { text: '', parsed: request });
  const chunks = [...reader.push(bytes), ...reader.end()]
    .filter((event) => event !== 'data: [DONE]')
    .map((event) => fields(JSON.parse(Buffer.from(event.slice(6), 'latin1').toString())));
  const choices = chunks.flatMap((chunk) => list(chunk.choices));
  const finish = choices.findLast(({ finish_reason }) => finish_reason !== null)?.finish_reason;
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage;
  const deltas = choices.map(({ delta }) => fields(delta));
  return [ours(deltas, finish, usage), theirs(parts, end?.finishReason, end?.usage)];
}

/** Vercel asks for no JSON here, so that it sees a call; gives what is broken; and has no usage where there was none. */
const different =
  /json_schema|malformed|no_message|excluded|without_its_usage|cut_before|fails|that_|something_else/;

const cases = readdirSync(folder)
  .map((file): [string, Fields] => [file, JSON.parse(readFileSync(join(folder, file), 'utf8'))])
  .filter(([file, { answer }]) => answer !== undefined && !different.test(file));

function bytesOf(events: unknown): Buffer {
  const frames = list(events).map(({ event, data }) => {
    const headers = { ':event-type': String(event), ':message-type': 'event' };
    return framed({ headers, payload: JSON.stringify(data) });
  });
  return Buffer.concat(frames);
}

assert.ok(cases.length >= 6);
for (const [file, { answer, request }] of cases)
  test(`both read the same in ${file}`, async () => {
    const { whole, events } = fields(answer);
    const [mine, other] = whole
      ? await wholeReadings(JSON.stringify(whole), fields(request))
      : await streamReadings(bytesOf(events), fields(request));
    assert.deepEqual(mine, other);
  });

const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
} as const;

test('and in what the stand-in answers to us, whole and streamed', async () => {
  await using sandbox = await startSandboxDisposably();
  const tool = (name: string) => ({ type: 'function', function: { name, parameters } });
  const messages = [{ role: 'user', content: 'ঢাকার weather, and the clock "now"\n?' }];
  const requests: readonly Fields[] = [
    { messages },
    { messages, reasoning_effort: 'high', max_tokens: 70 },
    { messages, stop: ['AI'] },
    { messages, tools: [tool('get_weather'), tool('read_clock')], tool_choice: 'required' },
    { messages, tools: [tool('other')] },
    { messages: [{ ...messages[0], cache_control: { type: 'ephemeral' } }] },
  ];
  const target = {
    upstreamModel: 'global.anthropic.claude-sonnet-4-6',
    tokenLimitField: 'max_tokens',
    cap: null,
    maxOutputTokens: 64_000,
    constraints: [],
  } as const;
  for (const request of requests)
    for (const isStreamed of [false, true]) {
      const response = await fetch(
        sandbox.baseUrl + bedrock.chatPath(target.upstreamModel, isStreamed),
        {
          method: 'POST',
          headers: { authorization: 'Bearer k' },
          body: bedrock.writeChat({ text: '', parsed: request }, target),
        },
      );
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.equal(response.status, 200, bytes.toString());
      const [mine, other] = isStreamed
        ? await streamReadings(bytes, request)
        : await wholeReadings(bytes.toString(), request);
      assert.deepEqual(mine, other);
      assert.ok(mine.text !== '' || mine.calls.length > 0);
    }
});

test('the stand-in understands what Vercel asks, and is understood', async () => {
  await using sandbox = await startSandboxDisposably();
  const provider = createAmazonBedrock({ apiKey: 'k', baseURL: sandbox.baseUrl });
  const tools = [{ type: 'function' as const, name: 'get_weather', inputSchema: parameters }];
  const model = provider('amazon.nova-lite-v1:0');
  const answer = await model.doGenerate({ prompt, tools, toolChoice: { type: 'required' } });
  assert.deepEqual(
    answer.content.map(({ type }) => type),
    ['tool-call'],
  );
  const { stream } = await model.doStream({ prompt, maxOutputTokens: 9, temperature: 0.5 });
  const parts = await Array.fromAsync(stream);
  const end = parts.find((part) => part.type === 'finish');
  assert.equal(end?.finishReason.unified, 'length');
  assert.equal(end?.usage.outputTokens.total, 9);
});

async function startSandboxDisposably() {
  const sandbox = await startSandboxProvider({ paceMs: 0 });
  return { ...sandbox, [Symbol.asyncDispose]: () => sandbox.close() };
}
