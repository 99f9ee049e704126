/** Clients that lose their connections at any byte, a thousand times: nothing is lost, nothing is paid twice. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { stream } from './hostile_behaviours.ts';
import { bodyOf, contentOf, pathOf, startKeptScene } from './kept_scene.ts';
import { usualCost } from './providers.ts';
import { StreamReader } from './stream_reader.ts';

const { database, upstream, first, second, via, receiptOf, call, stop } = await startKeptScene({
  // On a slow machine nobody may read for a while, and a lease is renewed late: nobody dies here.
  UNATTENDED_STREAM_MS: '60000',
  LEASE_MS: '60000',
});
after(stop);

test('1,000 cuts at random offsets: the joined text is the uncut one to the byte, for one charge each', async () => {
  const streams = 40;
  const cutsEach = 25;
  // More than all cuts together read, so that none comes after the end, however slow the machine is.
  const words = Array.from({ length: 240 }, (_, index) => `w${index} `);
  upstream.behave(stream({ chunks: words, paceMs: 6 }));
  const seed = Date.now() % 1_000_000;
  let state = seed;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  const before = upstream.received.length;
  let cuts = 0;
  const readers = await Promise.all(
    Array.from({ length: streams }, async (_, index) => {
      const body =
        index % 2 ? bodyOf({ include_usage: true }) : { ...bodyOf(), stream_options: null };
      const reader = new StreamReader(body, index % 2 ? null : `cut ${seed} ${index}`);
      for (let cut = 0; cut < cutsEach; cut += 1) {
        // Without its address a stream can only be found again by its key.
        const isNew = reader.address === null && index % 2 === 1;
        await reader.read(via(random(2) ? first : second), isNew ? 1 + random(1200) : random(1200));
        cuts += reader.isWhole ? 0 : 1;
        if (reader.isWhole) break;
      }
      for (let tries = 0; !reader.isWhole && tries < 5; tries += 1)
        await reader.read(via(random(2) ? first : second));
      return reader;
    }),
  );
  assert.ok(cuts >= 1000, `${cuts} cuts`);
  assert.equal(upstream.received.length - before, streams, `seed ${seed}`);
  for (const reader of readers) {
    const uncut = await Promise.all(
      [first, second].map((server) => call(server, 'GET', pathOf(reader))),
    );
    for (const { text } of uncut) assert.ok(reader.text === text, `seed ${seed}`);
    assert.equal(contentOf(reader.text), words.join(''));
    assert.ok(reader.text.endsWith('data: [DONE]\n\n'));
    const ids = [...reader.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    assert.deepEqual(
      ids,
      ids.map((_, index) => index + 1),
    );
    assert.equal((await receiptOf(reader.requestId)).charged, usualCost);
  }
  const ids = readers.map(({ requestId }) => requestId.replace('req_', ''));
  const charges = await database.owner`
    SELECT id FROM transfers WHERE kind = 'charge' AND id = ANY (${ids}::uuid[])`;
  assert.equal(charges.length, streams);
});
