/**
 * A second opinion: Vercel's provider for Gemini is given the same bytes as our dialect, those of its cases and those of the
 * stand-in, and must find the same text, reasoning, calls, signatures, usage and end in them.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createGoogle } from '@ai-sdk/google';
import { gemini } from '../src/dialects/gemini.ts';
import { type Fields, fields } from '../src/dialects/members.ts';
import { readUsage } from '../src/dialects/openai.ts';
import { promptTokens } from '../src/dialects/usage.ts';
import { startSandboxProvider } from '../src/sandbox/provider.ts';

const folder = join(import.meta.dirname, '../src/dialects/fixtures/gemini');

interface Call {
  readonly name: string;
  readonly input: unknown;
}

/** What an answer says, whoever reads it. */
interface Reading {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly Call[];
  readonly signatures: readonly string[];
  readonly finish: string;
  readonly usage: Fields;
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

/** Vercel's parts of content, or those of its stream. */
function theirs(parts: readonly unknown[], finish: unknown, usage: unknown): Reading {
  const all = parts.map(fields);
  const textOf = (type: string): string =>
    all
      .filter((part) => part.type === type)
      .map((part) => part.text ?? part.delta)
      .join('');
  const { inputTokens, outputTokens } = fields(usage);
  return {
    text: textOf('text') + textOf('text-delta'),
    reasoning: textOf('reasoning') + textOf('reasoning-delta'),
    calls: all
      .filter(({ type }) => type === 'tool-call')
      .map(({ toolName, input }) => ({ name: String(toolName), input: JSON.parse(String(input)) })),
    // A signature is repeated on several events of one part.
    signatures: [...new Set(all.flatMap((part) => signatureIn(part.providerMetadata)))],
    finish: String(fields(finish).unified).replace('-', '_'),
    usage: {
      input: fields(inputTokens).total,
      cacheRead: fields(inputTokens).cacheRead,
      output: fields(outputTokens).total,
      reasoning: fields(outputTokens).reasoning,
    },
  };
}

function signatureIn(metadata: unknown): string[] {
  const { thoughtSignature } = fields(fields(metadata).google);
  return typeof thoughtSignature === 'string' ? [thoughtSignature] : [];
}

/** Our deltas, or our one message. */
function ours(messages: readonly Fields[], finish: unknown, raw: unknown): Reading {
  const usage = readUsage(raw, { cacheCounted: 'inside', completionExcludesReasoning: false });
  assert.ok(usage);
  const details = messages.flatMap((message) => list(message.reasoning_details));
  return {
    text: messages.map(({ content }) => content ?? '').join(''),
    reasoning: messages.map(({ reasoning }) => reasoning ?? '').join(''),
    calls: messages
      .flatMap((message) => list(message.tool_calls))
      .map((call) => fields(call.function))
      .map(({ name, arguments: text }) => ({
        name: String(name),
        input: JSON.parse(String(text)),
      })),
    signatures: details.flatMap(({ data }) => (typeof data === 'string' ? [data] : [])),
    finish: String(finish),
    usage: {
      input: promptTokens(usage),
      cacheRead: usage.cacheRead,
      output: usage.output,
      reasoning: usage.reasoning,
    },
  };
}

function modelAnswering(body: string, contentType: string) {
  const headers = { 'content-type': contentType };
  const provider = createGoogle({
    apiKey: 'k',
    fetch: async () => new Response(body, { headers }),
  });
  return provider('gemini-3.8-flash');
}

const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'a' }] }];

async function wholeReadings(text: string, request: Fields): Promise<[Reading, Reading]> {
  const read = await modelAnswering(text, 'application/json').doGenerate({ prompt });
  const answer = fields(JSON.parse(gemini.readWhole(text, { text: '', parsed: request })));
  const [choice] = list(answer.choices);
  return [
    ours([fields(choice?.message)], choice?.finish_reason, answer.usage),
    theirs(read.content, read.finishReason, read.usage),
  ];
}

async function streamReadings(text: string, request: Fields): Promise<[Reading, Reading]> {
  const { stream } = await modelAnswering(text, 'text/event-stream').doStream({ prompt });
  const parts: Fields[] = [];
  for await (const each of stream) parts.push(fields(each));
  const end = parts.find(({ type }) => type === 'finish');
  const reader = gemini.readStream(1_000_000, { text: '', parsed: request });
  const chunks = [...reader.push(Buffer.from(text)), ...reader.end()]
    .filter((event) => event !== 'data: [DONE]')
    .map((event) => fields(JSON.parse(Buffer.from(event.slice(6), 'latin1').toString())));
  const choices = chunks.flatMap((chunk) => list(chunk.choices));
  const finish = choices.findLast(({ finish_reason }) => finish_reason !== null)?.finish_reason;
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage;
  const deltas = choices.map(({ delta }) => fields(delta));
  return [ours(deltas, finish, usage), theirs(parts, end?.finishReason, end?.usage)];
}

/**
 * Vercel streams only the first of several candidates, gives calls that were not wanted, passes on what is broken, and forgets
 * the counts where a later event has none.
 */
const different =
  /streamed_(two|fewer|finish_twice)|one_call|error_after|malformed|cut_before|broken_json|without_cand|sound|image/;

const cases = readdirSync(folder)
  .map((file): [string, Fields] => [file, JSON.parse(readFileSync(join(folder, file), 'utf8'))])
  .filter(([file, { answer }]) => answer !== undefined && !different.test(file));

assert.ok(cases.length >= 5);
for (const [file, { answer, request }] of cases)
  test(`both read the same in ${file}`, async () => {
    const { whole, events } = fields(answer);
    const data = list(events).flatMap((event) => (event.data ? [event.data] : []));
    const text = data.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('');
    const [mine, other] = whole
      ? await wholeReadings(JSON.stringify(whole), fields(request))
      : await streamReadings(text, fields(request));
    assert.deepEqual(mine, other);
  });

test('and in what the stand-in answers, whole and streamed', async () => {
  const sandbox = await startSandboxProvider({ paceMs: 0 });
  const parameters = {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  };
  const tool = (name: string) => ({ type: 'function', function: { name, parameters } });
  const messages = [{ role: 'user', content: 'ঢাকার weather, and the clock "now"\n?' }];
  const json_schema = { name: 'a', schema: { type: 'object', properties: { a: { const: 'b' } } } };
  const requests: readonly Fields[] = [
    { messages },
    { messages, reasoning_effort: 'high', max_tokens: 70 },
    { messages, reasoning: { exclude: true }, stop: ['AI'] },
    { messages, tools: [tool('get_weather'), tool('read_clock')], tool_choice: 'required' },
    { messages, tools: [tool('other')] },
    { messages, response_format: { type: 'json_schema', json_schema } },
  ];
  const target = {
    upstreamModel: 'gemini-3.8-flash',
    tokenLimitField: 'max_tokens',
    cap: null,
    maxOutputTokens: 65_536,
    constraints: [],
  } as const;
  try {
    for (const request of requests)
      for (const isStreamed of [false, true]) {
        const path = gemini.chatPath(target.upstreamModel, isStreamed);
        const response = await fetch(sandbox.baseUrl + path, {
          method: 'POST',
          headers: { 'x-goog-api-key': 'k' },
          body: gemini.writeChat({ text: '', parsed: request }, target),
        });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        const read = isStreamed ? streamReadings : wholeReadings;
        const [mine, other] = await read(text, request);
        assert.deepEqual(mine, other);
        assert.ok(mine.text !== '' || mine.calls.length > 0);
      }
  } finally {
    await sandbox.close();
  }
});
