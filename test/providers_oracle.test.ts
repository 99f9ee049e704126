/**
 * Further opinions on every provider that speaks OpenAI's form. Vercel's package for the provider reads the very bytes of it, as we do,
 * and must find the same in them as a client finds in what we make of them; and OpenAI's own SDK, which is strict with streams, must
 * take that.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAlibaba } from '@ai-sdk/alibaba';
import { createDeepSeek } from '@ai-sdk/deepseek';
import { createGroq } from '@ai-sdk/groq';
import { createMistral } from '@ai-sdk/mistral';
import { createMoonshotAI } from '@ai-sdk/moonshotai';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { createPerplexity } from '@ai-sdk/perplexity';
import OpenAI from 'openai';
import { providerEntries } from '../src/catalogue/catalogue.ts';
import type { Dialect } from '../src/dialects/dialect.ts';
import { dialectOf, dialects } from '../src/dialects/dialects.ts';
import { providerFacts } from '../src/dialects/fixtures/providers.ts';
import { type Traffic, trafficOf } from '../src/dialects/fixtures/traffic.ts';
import { type Fields, fields } from '../src/dialects/members.ts';
import { readUsage } from '../src/dialects/openai.ts';
import { promptTokens, type UsageRules } from '../src/dialects/usage.ts';

type Fetch = () => Promise<Response>;

const models = {
  openai: (fetch: Fetch) => createOpenAI({ apiKey: 'k', fetch }).chat('m'),
  azure: (fetch: Fetch) => createOpenAI({ apiKey: 'k', fetch }).chat('m'),
  deepseek: (fetch: Fetch) => createDeepSeek({ apiKey: 'k', fetch })('m'),
  mistral: (fetch: Fetch) => createMistral({ apiKey: 'k', fetch })('m'),
  groq: (fetch: Fetch) => createGroq({ apiKey: 'k', fetch })('m'),
  moonshot: (fetch: Fetch) => createMoonshotAI({ apiKey: 'k', fetch })('m'),
  alibaba: (fetch: Fetch) => createAlibaba({ apiKey: 'k', fetch })('m'),
  perplexity: (fetch: Fetch) => createPerplexity({ apiKey: 'k', fetch })('m'),
};

function anyModel(fetch: Fetch) {
  return createOpenAICompatible({ name: 'any', baseURL: 'https://example.com/v1', fetch })('m');
}

/** What an answer says, whoever reads it. */
interface Reading {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly (readonly [name: string, input: unknown])[];
  readonly finish: string;
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

/** Vercel's parts of content, or those of its stream. */
function readingOf(parts: readonly Fields[], finish: unknown): Reading {
  const textOf = (type: string): string =>
    parts
      .filter((part) => part.type === type)
      .map((part) => part.text ?? part.delta)
      .join('');
  return {
    text: textOf('text') + textOf('text-delta'),
    reasoning: textOf('reasoning') + textOf('reasoning-delta'),
    calls: parts
      .filter(({ type }) => type === 'tool-call')
      .map(({ toolName, input }) => [String(toolName), JSON.parse(String(input))]),
    finish: String(fields(finish).unified).replace('-', '_'),
  };
}

const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'a' }] }];

function answering(body: string, contentType: string): Fetch {
  return async () => new Response(body, { headers: { 'content-type': contentType } });
}

function eventStream(events: readonly string[]): string {
  return events.map((event) => `${event}\n\n`).join('');
}

type ModelOf = (fetch: Fetch) => Pick<ReturnType<typeof anyModel>, 'doGenerate' | 'doStream'>;

async function wholeReading(modelOf: ModelOf, answer: Fields) {
  const model = modelOf(answering(JSON.stringify(answer), 'application/json'));
  const { content, finishReason, usage } = await model.doGenerate({ prompt });
  return { reading: readingOf(list(content), finishReason), usage: fields(usage) };
}

async function streamReading(modelOf: ModelOf, events: readonly string[]): Promise<Reading> {
  const model = modelOf(answering(eventStream(events), 'text/event-stream'));
  const { stream } = await model.doStream({ prompt });
  const parts: Fields[] = [];
  for await (const part of stream) parts.push(fields(part));
  const failed = parts.find(({ type }) => type === 'error');
  assert.equal(failed, undefined, JSON.stringify(failed));
  return readingOf(parts, parts.find(({ type }) => type === 'finish')?.finishReason);
}

function speaker(id: string): Dialect {
  const entry = providerEntries.find((each) => each.id === id);
  return entry ? dialectOf(entry.dialect, entry.quirks) : dialects.vertexOpenai;
}

const body = { text: '{}', parsed: {} };

/** Chunks as our client gets them. */
function mended(dialect: Dialect, events: readonly string[]): Fields[] {
  const reader = dialect.readStream(1_000_000, body);
  const bytes = Buffer.from(eventStream(events));
  return [...reader.push(bytes), ...reader.end()].flatMap((event) => {
    if (!event.startsWith('data: {')) return [];
    const chunk = fields(JSON.parse(Buffer.from(event.slice(6), 'latin1').toString()));
    const own = reader.mend?.(chunk) ?? chunk;
    // The gateway keeps back what has no choices, and says the id and model itself.
    return list(own.choices).length > 0 ? [{ ...own, id: 'ours', model: 'a/b' }] : [];
  });
}

/** What OpenAI's own SDK makes of our chunks. @throws where they are none that OpenAI would send */
async function gathered(chunks: readonly Fields[]): Promise<OpenAI.Chat.ChatCompletion> {
  const texts = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'];
  const fetch = answering(eventStream(texts.map((text) => `data: ${text}`)), 'text/event-stream');
  const client = new OpenAI({
    apiKey: 'k',
    baseURL: 'https://example.com/v1',
    fetch,
    maxRetries: 0,
  });
  const messages = [{ role: 'user' as const, content: 'a' }];
  return client.chat.completions.stream({ model: 'm', messages }).finalChatCompletion();
}

/** As Vercel's packages tell it. */
function sdkReading({ choices }: OpenAI.Chat.ChatCompletion): Reading {
  const [choice] = choices;
  const message = fields(choice?.message);
  return {
    text: String(message.content ?? ''),
    reasoning: '',
    calls: list(message.tool_calls).map(({ function: made }) => [
      String(fields(made).name),
      JSON.parse(String(fields(made).arguments)),
    ]),
    finish: String(choice?.finish_reason),
  };
}

/** What they call an end that they do not know. */
function known(reading: Reading, finish: string): Reading {
  return reading.finish === 'other' ? { ...reading, finish } : reading;
}

/** Of several choices they read the first alone, or all as one; and they know no refusals. */
const beyondThem = ['two choices', 'a refusal'];

function rulesOf(id: string): UsageRules {
  const entry = providerEntries.find((each) => each.id === (id === 'vertexOpenai' ? 'vertex' : id));
  const { cacheCounted = 'inside', completionExcludesReasoning = false } = entry ?? {};
  return { cacheCounted, completionExcludesReasoning };
}

async function check(id: string, { name, whole, events, expectedWhole }: Traffic): Promise<void> {
  const dialect = speaker(id);
  const own: ModelOf | undefined = Object.entries(models).find(([each]) => each === id)?.[1];
  const theirs = own ?? anyModel;
  const chunks = mended(dialect, events);
  const [choice] = list(expectedWhole?.choices);
  const finish = String(choice?.finish_reason);
  const sdk = sdkReading(await gathered(chunks));
  if (beyondThem.includes(name)) {
    assert.equal(sdk.text, fields(choice?.message).content ?? '');
    assert.equal(sdk.finish, finish);
    return;
  }
  const answer = fields(JSON.parse(dialect.readWhole(JSON.stringify(whole), body)));
  const { reading: ours } = await wholeReading(anyModel, answer);
  const texts = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}`);
  assert.deepEqual(await streamReading(anyModel, [...texts, 'data: [DONE]']), ours);
  const { reading, usage } = await wholeReading(theirs, whole);
  assert.deepEqual(known(reading, finish), known(ours, finish));
  assert.deepEqual(known(await streamReading(theirs, events), finish), known(ours, finish));
  assert.deepEqual(sdk, { ...ours, reasoning: '', finish });
  const counted = readUsage(answer.usage, rulesOf(id));
  if (!own || !counted) return;
  assert.equal(fields(usage.inputTokens).total, promptTokens(counted));
  // Theirs adds reasoning for a model that is not sold here.
  if (id === 'perplexity' && counted.reasoning > 0) return;
  assert.equal(fields(usage.outputTokens).total, counted.output);
}

for (const facts of providerFacts)
  describe(`of what ${facts.id} says, all read the same`, () => {
    for (const traffic of trafficOf(facts))
      if (traffic.expectedWhole) test(traffic.name, () => check(facts.id, traffic));
  });
