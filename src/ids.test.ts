import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lowestIdAt, momentOf, requestIdIn, requestIdOf, timeOrderedId } from './ids.ts';

test('ids are UUIDs of version 7, sort by the ms in which they were made, and never repeat', async () => {
  const before = Date.now();
  const first = timeOrderedId();
  await sleep(3);
  const later = Array.from({ length: 1000 }, timeOrderedId);
  assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const time = momentOf(first);
  assert.ok(time >= before && time <= Date.now());
  assert.ok(lowestIdAt(time) < first && first < lowestIdAt(time + 1));
  assert.match(lowestIdAt(0), /^00000000-0000-0000-/);
  assert.ok(later.every((id) => id > first));
  assert.equal(new Set(later).size, 1000);
  assert.equal(requestIdOf(first), `req_${first.replaceAll('-', '')}`);
});

test('an id is found in whatever form users quote it, and in nothing else', () => {
  const id = timeOrderedId();
  const plain = id.replaceAll('-', '');
  for (const text of [id, plain, id.toUpperCase(), `chatcmpl-${plain}`, requestIdOf(id)])
    assert.equal(requestIdIn(text), id, text);
  for (const text of ['', 'req_', `${plain}0`, `tx_${plain}`, `req_req_${plain}`, `${plain}\n`])
    assert.equal(requestIdIn(text), null, text);
});
