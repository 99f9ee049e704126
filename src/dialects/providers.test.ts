/**
 * Every provider that speaks OpenAI's form, and everything that its documentation says it answers: text, calls, reasoning, log
 * probabilities, refusals, each end, each class of usage and each failure, whole and streamed, however the bytes are split.
 * The facts stand in fixtures/providers.ts and provider_errors.ts.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { providerEntries } from '../catalogue/catalogue.ts';
import { type Dialect, Unreadable } from './dialect.ts';
import { dialectOf, dialects } from './dialects.ts';
import { providerErrors } from './fixtures/provider_errors.ts';
import { type ProviderFacts, providerFacts } from './fixtures/providers.ts';
import { type Traffic, trafficOf } from './fixtures/traffic.ts';
import { type Fields, fields } from './members.ts';
import { readUsage } from './openai.ts';
import { StreamError } from './stream.ts';
import type { UsageRules } from './usage.ts';

const body = { text: '{}', parsed: {} };

function entryOf({ id }: ProviderFacts) {
  const name = id === 'vertexOpenai' ? 'vertex' : id;
  const entry = providerEntries.find((each) => each.id === name);
  assert.ok(entry, id);
  const { cacheCounted, completionExcludesReasoning = false } = entry;
  const rules: UsageRules = { cacheCounted, completionExcludesReasoning };
  const dialect =
    id === 'vertexOpenai' ? dialects.vertexOpenai : dialectOf(entry.dialect, entry.quirks);
  return { dialect, rules };
}

/** As the gateway reads it: events, each mended, comments passed over. */
function read(dialect: Dialect, bytes: Buffer, cuts: readonly number[]): unknown[] {
  const reader = dialect.readStream(1_000_000, body);
  const events: string[] = [];
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    events.push(...reader.push(bytes.subarray(from, cut)));
    from = cut;
  }
  events.push(...reader.end());
  return events.flatMap((event): unknown[] => {
    if (event.startsWith(':')) return [];
    const data = Buffer.from(event.replace(/^data: /, ''), 'latin1').toString();
    if (data === '[DONE]') return [data];
    const chunk = fields(JSON.parse(data));
    const mended = reader.mend?.(chunk) ?? chunk;
    if (mended.error) throw new StreamError(JSON.stringify(mended.error));
    return [mended];
  });
}

function bytesOf(events: readonly string[], lineEnd: string, end = '\n\n'): Buffer {
  return Buffer.from((events.join('\n\n') + end).replaceAll('\n', lineEnd));
}

function assertUsage(usage: unknown, expected: Fields, rules: UsageRules): void {
  const { flags, ...classes } = readUsage(usage, rules) ?? { flags: ['none'] };
  const counts = Object.entries(classes).filter(([, count]) => count !== 0);
  assert.deepEqual({ ...Object.fromEntries(counts), flags }, { ...expected, flags: [] });
}

function usageIn(chunk: unknown): unknown {
  const { usage, x_groq, choices } = fields(chunk);
  const [choice] = Array.isArray(choices) ? choices : [];
  return usage ?? fields(x_groq).usage ?? fields(choice).usage;
}

function checkStream(facts: ProviderFacts, { events, expectedChunks, usage }: Traffic): void {
  const { dialect, rules } = entryOf(facts);
  if (expectedChunks === null) {
    assert.throws(() => read(dialect, bytesOf(events, '\n'), []), StreamError);
    return;
  }
  const wanted = [
    ...(facts.before ?? []).map((event) => JSON.parse(event.slice(6))),
    ...expectedChunks,
    '[DONE]',
  ];
  for (const lineEnd of ['\n', '\r\n']) {
    const bytes = bytesOf(events, lineEnd);
    assert.deepEqual(read(dialect, bytes, []), wanted);
    const bytewise = Array.from(bytes, (_, at) => at);
    assert.deepEqual(read(dialect, bytes, bytewise), wanted);
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 20 });
    const holds = fc.property(cuts, (at) => assert.deepEqual(read(dialect, bytes, at), wanted));
    fc.assert(holds, { numRuns: 5 });
  }
  // The last event is closed by the end of the stream alone, and there is no word that it is the last.
  assert.deepEqual(read(dialect, bytesOf(events.slice(0, -1), '\n', ''), []), wanted.slice(0, -1));
  const told = wanted.map(usageIn).filter((found) => found);
  assertUsage(told.at(-1), usage, rules);
}

function checkWhole(facts: ProviderFacts, { whole, expectedWhole, usage }: Traffic): void {
  const { dialect, rules } = entryOf(facts);
  // Some send white space while they think.
  for (const text of [JSON.stringify(whole), `\n\n  ${JSON.stringify(whole)}\n`]) {
    if (expectedWhole === null) {
      assert.throws(() => dialect.readWhole(text, body), Unreadable);
      continue;
    }
    const answer = fields(JSON.parse(dialect.readWhole(text, body)));
    assert.deepEqual(answer, expectedWhole);
    assertUsage(answer.usage, usage, rules);
  }
}

for (const facts of providerFacts)
  describe(`answers of ${facts.id}`, () => {
    for (const traffic of trafficOf(facts)) {
      test(`${traffic.name}, whole`, () => checkWhole(facts, traffic));
      test(`${traffic.name}, streamed`, () => checkStream(facts, traffic));
    }
    for (const failure of providerErrors[facts.id]?.failures ?? [])
      test(`it says that it has failed: ${JSON.stringify(failure)}`, () => {
        const { dialect } = entryOf(facts);
        const [traffic] = trafficOf(facts);
        const [first = ''] = traffic?.events ?? [];
        const events = [first, `data: ${JSON.stringify(failure)}`];
        assert.throws(() => read(dialect, bytesOf(events, '\n'), []), StreamError);
      });
  });

test('no provider is left out that speaks otherwise than most', () => {
  const known = new Set(providerFacts.map(({ id }) => id));
  for (const id of [
    'deepseek',
    'xai',
    'mistral',
    'groq',
    'together',
    'fireworks',
    'cerebras',
    'moonshot',
    'zhipu',
    'alibaba',
    'perplexity',
    'cohere',
    'azure',
    'vertexOpenai',
    'ollama',
    'vllm',
  ])
    assert.ok(known.has(id) && providerErrors[id], id);
});
