/** Clients that leave: what they pay, and what stays behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { after, test } from 'node:test';
import { behaviours, chunk, endlessStream, sse, stream } from './hostile_behaviours.ts';
import { model, startStreamScene } from './stream_scene.ts';

const { upstream, installation, books, open, accountWith, stop } = await startStreamScene();
after(stop);

/** Of each request where memory is measured: far more in all than what a server at work needs for itself. */
const promptBytes = 500_000;

/** Memory of a process that is not swapped out. */
function residentBytes(pid: number): number {
  // Small Linux images come without ps.
  const kilobytes =
    process.platform === 'linux'
      ? /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  const bytes = 1024 * Number(kilobytes);
  assert.ok(bytes > 0);
  return bytes;
}

/** The text in the events that are complete. */
function contentOf(text: string): string {
  const events = text.split('\n\n').slice(0, -1);
  return events
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? '')
    .join('');
}

test('what the provider has counted of the prompt by then is charged, not an estimate of it', async () => {
  const usage = {
    prompt_tokens: 5000,
    completion_tokens: 1,
    total_tokens: 5001,
    prompt_tokens_details: { cached_tokens: 4000 },
  };
  const first = `data: ${chunk({ content: 'word '.repeat(20) }, null, { usage })}`;
  upstream.behave(() => [...sse([first], { breakAfter: 1, breakWith: ['HANG'] })]);
  const call = await open({ max_tokens: 100 });
  for await (const part of call.response) if (String(part).includes('word')) break;
  call.leave();
  const { outcome, detail } = await books.receipt(call.requestId);
  assert.equal(outcome, 'estimated');
  assert.deepEqual(detail.tokens, { input: 1000, cacheRead: 4000, output: 25 });
});

test('in mid-stream: the upstream hears of it within 100 ms, what was delivered is charged, marked as an estimate', async () => {
  upstream.behave(endlessStream({ paceMs: 2 }));
  const eventBytes = `data: ${chunk({ content: 'word ' })}\n\n`.length;
  for (let round = 0; round < 5; round += 1) {
    upstream.forget();
    const call = await open({});
    let text = '';
    for await (const part of call.response) {
      text += part;
      if (text.length > 4000) break;
    }
    const left = performance.now();
    call.leave();
    const received = await upstream.request();
    await received.gone;
    assert.ok((received.closedAt ?? Number.POSITIVE_INFINITY) - left < 100, 'too late');
    const receipt = await books.receipt(call.requestId);
    assert.equal(receipt.outcome, 'estimated');
    assert.equal(receipt.detail.reason, 'the client went away');
    // What was on its way when the client left is between what it read and what the upstream sent.
    const sent = Math.ceil(received.bytesSent / eventBytes) * 'word '.length;
    assert.ok(receipt.output_tokens >= Math.ceil(contentOf(text).length / 4), 'too little');
    assert.ok(receipt.output_tokens <= Math.ceil(sent / 4), 'too much');
    assert.equal(receipt.charged, receipt.input_tokens * 150 + receipt.output_tokens * 600);
  }
});

test('in a pause: charged for exactly what it received', async () => {
  upstream.behave(stream({ chunks: 40, breakAfter: 41, breakWith: ['HANG'] }));
  const call = await open({});
  let text = '';
  for await (const part of call.response) {
    text += part;
    if (contentOf(text).length === 200) break;
  }
  call.leave();
  const receipt = await books.receipt(call.requestId);
  assert.equal(receipt.outcome, 'estimated');
  assert.equal(receipt.output_tokens, 50);
  assert.equal(receipt.charged, receipt.input_tokens * 150 + 50 * 600);
});

test('before the first byte, streamed or not: the upstream hears of it, nothing is charged', async () => {
  upstream.behave(behaviours.hangBeforeHeaders);
  for (const streamed of [true, false]) {
    upstream.forget();
    const before = await books.sql`SELECT id FROM receipts`;
    const request = httpRequest(`${installation.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${installation.key}` },
    });
    request.on('error', () => {});
    request.end(
      JSON.stringify({ model, stream: streamed, messages: [{ role: 'user', content: 'Hi' }] }),
    );
    const received = await upstream.request();
    request.destroy();
    const left = performance.now();
    await received.gone;
    assert.ok((received.closedAt ?? Number.POSITIVE_INFINITY) - left < 100, 'too late');
    const known = before.map((row) => row.id);
    let receipts: readonly { charged: number; outcome: string }[] = [];
    for (let i = 0; i < 300 && receipts.length === 0; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      receipts = await books.sql<{ charged: number; outcome: string }[]>`
        SELECT charged, outcome FROM receipts WHERE id <> ALL (${known}::uuid[])`;
    }
    assert.deepEqual([...receipts], [{ charged: 0, outcome: 'released' }]);
  }
});

test('after the finish chunk: its usage is waited for and charged', async () => {
  const usage = { prompt_tokens: 24, completion_tokens: 3, total_tokens: 27 };
  const { promise: left, resolve } = Promise.withResolvers<void>();
  const finished = [
    `data: ${chunk({ role: 'assistant', content: 'one two three' })}`,
    `data: ${chunk({}, 'stop')}`,
  ];
  const end = [
    `data: ${JSON.stringify({ ...JSON.parse(chunk({})), choices: [], usage })}`,
    'data: [DONE]',
  ];
  // The finish comes with the text, in one write; usage only when the client is gone. The end needs no head of its own.
  const later = [{ until: left }, ...[...sse(end)].slice(3)];
  upstream.behave(() => sse(finished, { eventsPerWrite: 2, breakAfter: 2, breakWith: later }));
  const call = await open({});
  await once(call.response, 'data');
  call.leave();
  setTimeout(resolve, 20);
  const receipt = await books.receipt(call.requestId);
  assert.deepEqual([receipt.outcome, receipt.output_tokens], ['settled', 3]);
});

test('leaves nothing behind: no upstream connection, no hold, no growing memory', async () => {
  upstream.behave(endlessStream({ paceMs: 1 }));
  const { key } = await accountWith('1000');
  const messages = [{ role: 'user', content: 'x'.repeat(promptBytes) }];
  const leave = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      const calls = await Promise.all(
        Array.from({ length: 20 }, () => open({ max_tokens: 100, messages }, key)),
      );
      for (const call of calls) call.leave();
    }
    await books.settled();
  };
  await leave(10);
  const before = residentBytes(installation.pid);
  await leave(20);
  assert.ok(upstream.open <= 1, `${upstream.open} upstream connections are open`);
  const grown = residentBytes(installation.pid) - before;
  const all = 20 * 20 * promptBytes;
  assert.ok(grown < all / 2, `${grown} bytes more, after ${all} bytes of requests`);
});
