/** Streams of providers with quirks, all the way to the client: mended, and still passed on as bytes where one event is like another. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { providerEntries } from '../catalogue/catalogue.ts';
import { dialectOf } from '../dialects/dialects.ts';
import { type Fields, fields } from '../dialects/members.ts';
import { ChatEvents } from './sse.ts';

const folder = join(import.meta.dirname, '../dialects/fixtures');

function chunkText(chunk: unknown): string {
  return typeof chunk === 'string' ? chunk : `data: ${JSON.stringify(chunk)}`;
}

/** What a client reads of a stream, and how much was generated in it. */
function relayed(
  provider: string,
  bytes: Buffer,
  cuts: readonly number[],
  parsed: Fields = {},
): [unknown[], number] {
  const entry = providerEntries.find(({ id }) => id === provider);
  assert.ok(entry);
  const body = { text: '{}', parsed };
  const reader = dialectOf(entry.dialect, entry.quirks).readStream(1_000_000, body);
  const events = new ChatEvents('"ours"', '"a/b"', reader);
  let from = 0;
  let generated = 0;
  let text = '';
  const take = (event: string): void => {
    const read = events.read(event);
    assert.equal(read.error, null);
    generated += read.generatedBytes;
    text += read.text;
  };
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    for (const event of reader.push(bytes.subarray(from, cut))) take(event);
    from = cut;
  }
  for (const event of reader.end()) take(event);
  const blocks = Buffer.from(text, 'latin1').toString().split('\n\n').filter(Boolean);
  return [blocks.map((block) => JSON.parse(block.slice(6))), generated];
}

/** As a chunk of a fixture reaches the client. */
function delivered(chunk: unknown): unknown[] {
  const { usage: _, created: _created, ...rest } = fields(chunk);
  const { choices } = rest;
  return Array.isArray(choices) && choices.length > 0
    ? [{ ...rest, id: 'ours', model: 'a/b' }]
    : [];
}

function withoutCreated(chunk: unknown): unknown {
  const { created: _, ...rest } = fields(chunk);
  return rest;
}

describe('events of a provider with quirks', () => {
  for (const { id, quirks } of providerEntries) {
    if (!quirks || !readdirSync(folder).includes(id)) continue;
    for (const file of readdirSync(join(folder, id)).filter((name) => name.startsWith('streamed')))
      test(`${id}: ${file}`, () => {
        const { answer, expected, request } = JSON.parse(
          readFileSync(join(folder, id, file), 'utf8'),
        );
        if (expected === 'unreadable') return;
        const texts = answer.events.map((event: unknown) =>
          typeof event === 'string' ? event : chunkText(fields(event).data),
        );
        const bytes = Buffer.from(`${texts.join('\n\n')}\n\n`);
        const wanted = expected.flatMap(delivered);
        fc.assert(
          fc.property(fc.array(fc.nat(bytes.length), { maxLength: 20 }), (cuts) => {
            assert.deepEqual(relayed(id, bytes, cuts, request)[0].map(withoutCreated), wanted);
          }),
          { numRuns: 50 },
        );
      });
  }

  test('are mended alike whether they are parsed or like the one before', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.string({ unit: 'grapheme', minLength: 1 })), {
          minLength: 2,
          maxLength: 30,
        }),
        (pieces) => {
          const head = { id: 'c', object: 'chat.completion.chunk', created: 7, model: 'm' };
          const chunkOf = (delta: object) => ({
            ...head,
            choices: [{ index: 0, delta, finish_reason: null }],
          });
          const given = pieces.map(([thought, text]) =>
            chunkOf(
              thought
                ? { content: null, reasoning_content: text }
                : { content: text, reasoning_content: null },
            ),
          );
          const bytes = Buffer.from(given.map((chunk) => `${chunkText(chunk)}\n\n`).join(''));
          const [chunks, generated] = relayed('deepseek', bytes, []);
          assert.deepEqual(
            chunks,
            pieces.map(([thought, text], at) => ({
              ...chunkOf({
                ...(at === 0 ? { role: 'assistant' } : {}),
                ...(thought ? { content: null, reasoning: text } : { content: text }),
              }),
              id: 'ours',
              model: 'a/b',
            })),
          );
          const all = pieces.map(([, text]) => text).join('');
          // Escapes are counted as they are written where an event is passed on as bytes.
          assert.ok(generated >= Buffer.byteLength(all) && generated <= 6 * Buffer.byteLength(all));
        },
      ),
    );
  });
});
