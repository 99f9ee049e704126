/**
 * One suite for all dialects. Each case is a file in fixtures/<dialect>/: what a client asks, the exact request that the
 * provider must get for it, what the provider answers, and the exact answer that the client must get, whichever way the
 * bytes of a stream are split. fixtures/README.md tells the form.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { providerEntries } from '../catalogue/catalogue.ts';
import {
  type ChatBody,
  type ChatTarget,
  type Dialect,
  Unreadable,
  Unsupported,
} from './dialect.ts';
import { dialectOf, dialects } from './dialects.ts';
import { framed } from './event_stream.ts';
import { type Fields, fields } from './members.ts';
import { readUsage } from './openai.ts';
import { usualQuirks } from './quirks.ts';
import { type EventReader, StreamError } from './stream.ts';
import type { UsageRules } from './usage.ts';

/** One event of a provider's stream: its bytes as they are, or its data with the name that it has on the wire. */
type FixtureEvent = string | { readonly event?: string; readonly data: Fields };

interface Fixture {
  /** Where the bytes come from: recorded, with the date, or made from documentation. */
  readonly from: string;
  readonly target?: Partial<ChatTarget>;
  readonly request: Fields;
  readonly upstream?: { readonly path: string; readonly body: Fields };
  /** In place of `upstream`: the parameter that is refused. */
  readonly unsupported?: string;
  readonly answer?: { readonly whole?: Fields; readonly events?: readonly FixtureEvent[] };
  /** The whole answer, or the chunks of the stream; "unreadable" for an answer that must not be taken for one. */
  readonly expected?: Fields | readonly (Fields | string)[] | 'unreadable';
  /** What is read from the usage: the classes that are not zero, and the flags. */
  readonly usage?: Fields;
}

const folder = join(import.meta.dirname, 'fixtures');
const target: ChatTarget = {
  upstreamModel: 'upstream-model',
  tokenLimitField: 'max_tokens',
  cap: null,
  maxOutputTokens: 4096,
  constraints: [],
};
const usageRules: UsageRules = { cacheCounted: 'inside', completionExcludesReasoning: false };
const mostEventBytes = 1_000_000;

function fixturesOf(dialect: string): [name: string, fixture: Fixture][] {
  return readdirSync(join(folder, dialect))
    .filter((file) => file.endsWith('.json'))
    .map((file) => [
      file.replace(/\.json$/, ''),
      JSON.parse(readFileSync(join(folder, dialect, file), 'utf8')),
    ]);
}

function bodyOf({ request }: Fixture): ChatBody {
  return { text: JSON.stringify(request), parsed: request };
}

/** As Amazon frames them; text is a message in base64. */
function framesOf(events: readonly FixtureEvent[]): Buffer {
  const frames = events.map((event) => {
    if (typeof event === 'string') return Buffer.from(event, 'base64');
    const type = event.event?.endsWith('Exception') ? 'exception' : 'event';
    const headers = {
      [`:${type}-type`]: event.event ?? '',
      ':content-type': 'application/json',
      ':message-type': type,
    };
    return framed({ headers, payload: JSON.stringify(event.data) });
  });
  return Buffer.concat(frames);
}

function bytesOf(dialect: Dialect, events: readonly FixtureEvent[], lineEnd: string): Buffer {
  if (dialect === dialects.bedrock) return framesOf(events);
  const texts = events.map((event) => {
    if (typeof event === 'string') return event;
    const name = event.event === undefined ? '' : `event: ${event.event}\n`;
    return `${name}data: ${JSON.stringify(event.data)}`;
  });
  return Buffer.from(texts.map((text) => `${text}\n\n`.replaceAll('\n', lineEnd)).join(''));
}

/** Chunks of a stream as what they say; text other than JSON stays as it is. */
function chunksOf(events: readonly string[]): unknown[] {
  return events.map((event) => {
    assert.match(event, /^data: /);
    assert.ok(!event.includes('\n'), 'one line an event');
    const data = Buffer.from(event.slice(6), 'latin1').toString();
    return data === '[DONE]' ? data : JSON.parse(data);
  });
}

/** Equal, but for `created`, and for expected strings like "$call": one that may be any text, the same wherever it stands. */
function assertLike(actual: unknown, expected: unknown): void {
  const names = new Map<string, string>();
  const bind = (found: unknown, wanted: unknown): unknown => {
    if (typeof wanted === 'string' && /^\$\w+$/.test(wanted) && typeof found === 'string') {
      const before = names.get(wanted) ?? found;
      names.set(wanted, before);
      return found !== '' && before === found ? wanted : found;
    }
    if (typeof found !== 'object' || found === null) return found;
    if (Array.isArray(found))
      return found.map((member, index) => bind(member, Array.isArray(wanted) ? wanted[index] : 0));
    const members = Object.entries(found).filter(([name]) => name !== 'created');
    return Object.fromEntries(
      members.map(([name, value]) => [name, bind(value, fields(wanted)[name])]),
    );
  };
  assert.deepEqual(bind(actual, expected), expected);
}

function assertCreated(parts: readonly unknown[]): void {
  const created = new Set(parts.map((part) => fields(part).created));
  assert.ok(created.size <= 1, '`created` is the same everywhere');
  for (const seconds of created) assert.ok(Number.isInteger(seconds) && Number(seconds) > 1.5e9);
}

function assertUsage(raw: unknown, expected: Fields, rules: UsageRules): void {
  const usage = readUsage(raw, rules);
  assert.ok(usage, 'usage is there and makes sense');
  const { flags, ...classes } = usage;
  const counts = Object.entries(classes).filter(([, count]) => count !== 0);
  assert.deepEqual({ ...Object.fromEntries(counts), flags }, { flags: [], ...expected });
}

function readAll(
  dialect: Dialect,
  fixture: Fixture,
  bytes: Buffer,
  cuts: readonly number[],
): string[] {
  const reader = dialect.readStream(mostEventBytes, bodyOf(fixture));
  const events: string[] = [];
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    events.push(...reader.push(bytes.subarray(from, cut)));
    from = cut;
  }
  events.push(...reader.end());
  return reader.mend ? events.map((event) => mended(event, reader)) : events;
}

/** As ChatEvents has it mended. */
function mended(event: string, reader: EventReader): string {
  const data = Buffer.from(event.slice(6), 'latin1').toString();
  if (data === '[DONE]') return event;
  const chunk = reader.mend?.(fields(JSON.parse(data))) ?? {};
  if (chunk.error) throw new StreamError('the provider reported an error');
  return `data: ${Buffer.from(JSON.stringify(chunk)).toString('latin1')}`;
}

function checkRequest(dialect: Dialect, fixture: Fixture): void {
  const wanted = { ...target, ...fixture.target };
  const body = bodyOf(fixture);
  if (fixture.unsupported !== undefined) {
    const { unsupported } = fixture;
    assert.throws(
      () => dialect.writeChat(body, wanted),
      (error) => error instanceof Unsupported && error.param === unsupported,
    );
    return;
  }
  assert.ok(fixture.upstream, 'a case says what the provider gets');
  assert.deepEqual(JSON.parse(dialect.writeChat(body, wanted)), fixture.upstream.body);
  const isStreamed = fixture.request.stream === true;
  assert.equal(dialect.chatPath(wanted.upstreamModel, isStreamed), fixture.upstream.path);
}

function checkWhole(dialect: Dialect, fixture: Fixture, whole: string, rules: UsageRules): void {
  const read = (): string => dialect.readWhole(whole, bodyOf(fixture));
  if (fixture.expected === 'unreadable') {
    assert.throws(read, Unreadable);
    return;
  }
  const answer: unknown = JSON.parse(read());
  assertCreated([answer]);
  assertLike(answer, fixture.expected);
  if (fixture.usage) assertUsage(fields(answer).usage, fixture.usage, rules);
}

function checkStream(
  dialect: Dialect,
  fixture: Fixture,
  events: readonly FixtureEvent[],
  rules: UsageRules,
): void {
  for (const lineEnd of ['\n', '\r\n']) {
    const bytes = bytesOf(dialect, events, lineEnd);
    if (fixture.expected === 'unreadable') {
      assert.throws(() => readAll(dialect, fixture, bytes, []), StreamError);
      continue;
    }
    const chunks = chunksOf(readAll(dialect, fixture, bytes, []));
    assertCreated(chunks.filter((chunk) => fields(chunk).object));
    assertLike(chunks, fixture.expected);
    const usages = chunks.map(usageIn).filter((usage) => usage);
    if (fixture.usage) assertUsage(usages.at(-1), fixture.usage, rules);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) =>
        assertLike(chunksOf(readAll(dialect, fixture, bytes, cuts)), fixture.expected),
      ),
      { numRuns: 50 },
    );
    const bytewise = Array.from(bytes, (_, at) => at);
    assertLike(chunksOf(readAll(dialect, fixture, bytes, bytewise)), fixture.expected);
  }
}

/** Where the gateway finds it, too. */
function usageIn(chunk: unknown): unknown {
  const { usage, x_groq, choices } = fields(chunk);
  const [choice] = Array.isArray(choices) ? choices : [];
  return usage ?? fields(x_groq).usage ?? fields(choice).usage;
}

/** Those that speak OpenAI's form with more than the usual quirks: each has cases of its own. */
const compatible = providerEntries.flatMap(({ id, dialect, quirks, ...rules }) =>
  quirks && quirks !== usualQuirks
    ? [
        {
          name: id,
          dialect: dialectOf(dialect, quirks),
          rules: {
            cacheCounted: rules.cacheCounted,
            completionExcludesReasoning: rules.completionExcludesReasoning ?? false,
          },
        },
      ]
    : [],
);
/** What all others have in common, the servers of an operator's own among them. */
const usual = dialectOf('openai', usualQuirks);
const spoken = Object.entries({ ...dialects, usual }).map(([name, dialect]) => ({
  name,
  dialect,
  rules: usageRules,
}));

for (const { name, dialect, rules } of [...spoken, ...compatible])
  describe(`dialect ${name}`, () => {
    const cases = fixturesOf(name);
    test('has cases, which say where they come from', () => {
      assert.ok(cases.length > 0);
      for (const [file, { from }] of cases) assert.match(from, /\S/, file);
    });
    for (const [file, fixture] of cases)
      test(file.replaceAll('_', ' '), () => {
        checkRequest(dialect, fixture);
        const { whole, events } = fixture.answer ?? {};
        if (whole) checkWhole(dialect, fixture, JSON.stringify(whole), rules);
        if (!events) return;
        if (fixture.request.stream === true) checkStream(dialect, fixture, events, rules);
        // A dialect may have asked for a stream although its client did not.
        else checkWhole(dialect, fixture, bytesOf(dialect, events, '\n').toString(), rules);
      });
  });
