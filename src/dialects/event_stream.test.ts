/** Amazon's framing: what was framed is read again however the bytes are split, and what is damaged is never taken for something else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { type Frame, FrameSplitter, framed } from './event_stream.ts';
import { StreamError } from './stream.ts';

const frame = fc.record({
  headers: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 40 }),
    fc.string({ maxLength: 100 }),
    {
      noNullPrototype: true,
    },
  ),
  payload: fc.string({ maxLength: 300 }),
});
const frames = fc.array(frame, { maxLength: 5 });

function read(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const splitter = new FrameSplitter(100_000);
  const found: Frame[] = [];
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    found.push(...splitter.push(bytes.subarray(from, cut)));
    from = cut;
  }
  splitter.end();
  return found;
}

const wellFormed = ({ headers, payload }: Frame): boolean =>
  [payload, ...Object.entries(headers).flat()].every((text) => text.isWellFormed());

test('messages come out as they went in, however they are split', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(2000)), (given, cuts) => {
      fc.pre(
        given.every(wellFormed) && given.every(({ headers }) => !('__proto__' in { ...headers })),
      );
      const bytes = Buffer.concat(given.map(framed));
      const within = cuts.map((cut) => Math.min(cut, bytes.length));
      assert.deepEqual(
        read(bytes, within).map(({ headers, payload }) => [{ ...headers }, payload]),
        given.map(({ headers, payload }) => [{ ...headers }, payload]),
      );
    }),
  );
});

test('one byte that is another is found out', () => {
  fc.assert(
    fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, change) => {
      const bytes = Buffer.concat(given.map(framed));
      fc.pre(bytes.length > 0);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ change;
      assert.throws(() => read(bytes, []), StreamError);
    }),
  );
});

test('a length beyond the limit is refused before its bytes are waited for', () => {
  const bytes = framed({ headers: {}, payload: 'x'.repeat(200_000) });
  assert.throws(() => new FrameSplitter(100_000).push(bytes.subarray(0, 12)), /too large/);
});

test('headers of other types than text are passed over', () => {
  // `a` is true, `b` five as an integer of four bytes, `c` text.
  const head = Buffer.from([1, 97, 0, 1, 98, 4, 0, 0, 0, 5, 1, 99, 7, 0, 2, 111, 107]);
  const plain = framed({ headers: { x: 'yyyyyyyyyyyy' }, payload: '{}' });
  assert.equal(head.length, plain.readUInt32BE(4));
  const message = withHeaders(plain, head);
  assert.deepEqual({ ...read(message, [])[0]?.headers }, { c: 'ok' });
});

/** The same message with other headers of the same length, and its sum made anew. */
function withHeaders(message: Buffer, head: Buffer): Buffer {
  const changed = Buffer.from(message);
  head.copy(changed, 12);
  const end = changed.length - 4;
  changed.writeUInt32BE(crc32(changed.subarray(0, end)), end);
  return changed;
}
