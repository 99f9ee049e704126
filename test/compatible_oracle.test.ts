/**
 * A second opinion: Vercel's provider for all who speak OpenAI's form is given what our dialects of compatible providers make of
 * the answers in their cases, and must find the same text, reasoning, calls, end and usage in it as we do.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { providerEntries } from '../src/catalogue/catalogue.ts';
import type { ChatBody, Dialect } from '../src/dialects/dialect.ts';
import { dialectOf, dialects } from '../src/dialects/dialects.ts';
import { type Fields, fields } from '../src/dialects/members.ts';
import { readUsage } from '../src/dialects/openai.ts';
import { usualQuirks } from '../src/dialects/quirks.ts';
import { promptTokens, type UsageRules } from '../src/dialects/usage.ts';

const folder = join(import.meta.dirname, '../src/dialects/fixtures');

/** What an answer says, whoever reads it. */
interface Reading {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  readonly finish: string;
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

/** Vercel's parts of content, or those of its stream. */
function theirs(parts: readonly Fields[], finish: unknown): Reading {
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
      .map(({ toolName, input }) => ({ name: String(toolName), input: JSON.parse(String(input)) })),
    finish: String(fields(finish).unified).replace('-', '_'),
  };
}

/** Our chunks, or our one answer, read as an OpenAI client reads them. */
function ours(choices: readonly Fields[]): Reading {
  const said = choices.map(({ delta, message }) => fields(delta ?? message));
  const calls = new Map<unknown, { name: unknown; text: string }>();
  for (const call of said.flatMap(({ tool_calls }) => list(tool_calls))) {
    const { name, arguments: piece } = fields(call.function);
    const before = calls.get(call.index ?? call.id) ?? { name, text: '' };
    calls.set(call.index ?? call.id, { ...before, text: `${before.text}${piece ?? ''}` });
  }
  const finish = choices.findLast(({ finish_reason }) => finish_reason)?.finish_reason;
  return {
    text: said.map(({ content }) => content ?? '').join(''),
    reasoning: said.map(({ reasoning }) => reasoning ?? '').join(''),
    calls: [...calls.values()].map(({ name, text }) => ({
      name: String(name),
      input: JSON.parse(text),
    })),
    finish: String(finish),
  };
}

const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'a' }] }];

function modelAnswering(body: string, contentType: string) {
  const headers = { 'content-type': contentType };
  const fetched = async (): Promise<Response> => new Response(body, { headers });
  const settings = { name: 'any', baseURL: 'https://example.com/v1', fetch: fetched };
  return createOpenAICompatible(settings).chatModel('m');
}

async function readWhole(text: string): Promise<[Reading, Fields]> {
  const read = await modelAnswering(text, 'application/json').doGenerate({ prompt });
  return [theirs(list(read.content), read.finishReason), fields(read.usage)];
}

async function readStream(chunks: readonly unknown[]): Promise<[Reading, Fields]> {
  const text = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]']
    .map((data) => `data: ${data}\n\n`)
    .join('');
  const { stream } = await modelAnswering(text, 'text/event-stream').doStream({ prompt });
  const parts: Fields[] = [];
  for await (const each of stream) parts.push(fields(each));
  const end = parts.find(({ type }) => type === 'finish');
  return [theirs(parts, end?.finishReason), fields(end?.usage)];
}

function mended(dialect: Dialect, events: unknown, body: ChatBody): Fields[] {
  const reader = dialect.readStream(1_000_000, body);
  const texts = (Array.isArray(events) ? events : []).map((event) =>
    typeof event === 'string' ? event : `data: ${JSON.stringify(fields(event).data)}`,
  );
  const bytes = Buffer.from(texts.map((text) => `${text}\n\n`).join(''));
  return [...reader.push(bytes), ...reader.end()].flatMap((event) => {
    const data = Buffer.from(event.slice(6), 'latin1').toString();
    if (!event.startsWith('data: {')) return [];
    const chunk = fields(JSON.parse(data));
    return [reader.mend?.(chunk) ?? chunk];
  });
}

const rulesOf = new Map(
  providerEntries.map(({ id, cacheCounted, completionExcludesReasoning: excludes = false }) => [
    id,
    { cacheCounted, completionExcludesReasoning: excludes } satisfies UsageRules,
  ]),
);
const usual: UsageRules = { cacheCounted: 'inside', completionExcludesReasoning: false };
const spoken = new Map<string, Dialect>([
  ['openai', dialects.openai],
  ['usual', dialectOf('openai', usualQuirks)],
  ...providerEntries.flatMap(({ id, dialect, quirks }): [string, Dialect][] =>
    quirks && quirks !== usualQuirks ? [[id, dialectOf(dialect, quirks)]] : [],
  ),
]);

/** Those with an answer that is one, and did not come as a stream that had to be made whole. */
const cases = [...spoken].flatMap(([name, dialect]) =>
  readdirSync(join(folder, name)).flatMap((file) => {
    const read: Fields = JSON.parse(readFileSync(join(folder, name, file), 'utf8'));
    const isMadeWhole = fields(read.answer).events && fields(read.request).stream !== true;
    const failed = read.expected === 'unreadable' || read.answer === undefined;
    return failed || isMadeWhole ? [] : [{ name, file, dialect, read }];
  }),
);

assert.ok(cases.length >= 12);
for (const { name, file, dialect, read } of cases)
  test(`both read the same in ${name}/${file}`, async () => {
    const { whole, events } = fields(read.answer);
    const body = { text: '', parsed: fields(read.request) };
    const answer = whole ? fields(JSON.parse(dialect.readWhole(JSON.stringify(whole), body))) : {};
    const chunks = mended(dialect, events, body);
    const mine = ours(
      whole ? list(answer.choices) : chunks.flatMap((chunk) => list(chunk.choices)),
    );
    const [other, counted] = whole
      ? await readWhole(JSON.stringify(answer))
      : await readStream(chunks);
    assert.deepEqual(other, mine);
    const raw = whole ? answer.usage : chunks.findLast(({ usage }) => usage)?.usage;
    const usage = raw ? readUsage(raw, rulesOf.get(name) ?? usual) : null;
    // Vercel takes each number as it stands: where a provider counts otherwise, that is ours to know.
    if (!usage || rulesOf.get(name)?.completionExcludesReasoning) return;
    assert.equal(fields(counted.inputTokens).total, promptTokens(usage));
    assert.equal(fields(counted.outputTokens).total, usage.output);
  });
