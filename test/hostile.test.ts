import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { Pool } from 'undici';
import { type Hostile, startHostile } from './hostile.ts';
import {
  behaviours,
  endlessStream,
  failure,
  good,
  json,
  poisoned,
  stream,
  usage,
} from './hostile_behaviours.ts';

// The hostile upstream is what gateway tests stand on: here it proves that it does to an ordinary client what its names say.

let hostile: Hostile;
let client: OpenAI;
before(async () => {
  hostile = await startHostile();
  client = new OpenAI({ apiKey: 'k', baseURL: hostile.baseUrl, maxRetries: 0, timeout: 2000 });
});
after(() => hostile.close());

const messages = [{ role: 'user' as const, content: 'hi' }];
const ask = () => client.chat.completions.create({ model: 'm', messages });
async function askStream(): Promise<{ text: string; usages: unknown[] }> {
  const chunks = await client.chat.completions.create({
    model: 'm',
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  const usages: unknown[] = [];
  for await (const part of chunks) {
    text += part.choices[0]?.delta.content ?? '';
    if (part.usage) usages.push(part.usage);
  }
  return { text, usages };
}

test('answers well when asked to, in the form of the request, and keeps a log', async () => {
  hostile.forget();
  hostile.behave(good({ text: 'Dhaka', chunks: ['Dh', 'aka'] }));
  assert.equal((await ask()).choices[0]?.message.content, 'Dhaka');
  assert.deepEqual(await askStream(), { text: 'Dhaka', usages: [usage] });
  const [first, second] = hostile.received;
  assert.equal(first?.path, '/v1/chat/completions');
  assert.equal(first?.headers.authorization, 'Bearer k');
  assert.deepEqual(first?.body?.messages, messages);
  assert.equal(second?.body?.stream, true);
  assert.ok(second?.finished && second.closedAt === null && second.bytesSent > 200);
});

test('cuts, joins and decorates a stream without changing what it says', async () => {
  const bangla = 'বাংলাদেশের রাজধানী ঢাকা। 🇧🇩';
  for (const name of ['splitEverywhere', 'splitOddly'] as const) {
    hostile.behave(behaviours[name]);
    assert.deepEqual(await askStream(), { text: bangla, usages: [usage] }, name);
  }
  for (const name of ['crlf', 'comments', 'usageOnFinish'] as const) {
    hostile.behave(behaviours[name]);
    assert.deepEqual(await askStream(), { text: 'word '.repeat(5), usages: [usage] }, name);
  }
  hostile.behave(behaviours.manyEventsAWrite);
  assert.equal((await askStream()).text, 'word '.repeat(20));
  hostile.behave(stream({ chunks: 3, usage: 'every' }));
  assert.equal((await askStream()).usages.length, 5);
  hostile.behave(behaviours.gzipJson);
  assert.equal((await ask()).choices[0]?.message.content, 'The capital is Dhaka.');
});

test('breaks in every way that it names', async () => {
  const whole = [
    'hangBeforeHeaders',
    'hangMidJson',
    'resetBeforeHeaders',
    'resetMidJson',
    'endBeforeHeaders',
    'malformedJson',
    'contentLengthTooLong',
    'notHttp',
  ] as const;
  for (const name of whole) {
    hostile.behave(behaviours[name]);
    const impatient = client.chat.completions.create({ model: 'm', messages }, { timeout: 300 });
    await assert.rejects(impatient, name);
  }
  for (const name of [
    'resetMidStream',
    'halfAChunkThenCut',
    'malformedEvent',
    'errorMidStream',
  ] as const) {
    hostile.behave(behaviours[name]);
    await assert.rejects(askStream(), name);
  }
});

test('gives the statuses and forms of errors', async () => {
  hostile.behave(failure(429, { retryAfter: '7', code: 'rate_limit_exceeded' }));
  const refused = await ask().catch((error: unknown) => error);
  assert.ok(refused instanceof OpenAI.RateLimitError);
  assert.equal(refused.code, 'rate_limit_exceeded');
  assert.equal(refused.headers.get('retry-after'), '7');
  hostile.behave(failure(529, { form: 'html', message: 'overloaded' }));
  await assert.rejects(ask(), /529.*overloaded/);
  hostile.behave(failure(400, { form: 'string', message: 'flat words' }));
  await assert.rejects(ask(), /flat words/);
});

test('queues behaviours, one a request, before the standing one', async () => {
  hostile.behave(json({ text: 'standing' }));
  hostile.queue(json({ text: 'one' }), failure(500));
  assert.equal((await ask()).choices[0]?.message.content, 'one');
  await assert.rejects(ask(), /500/);
  assert.equal((await ask()).choices[0]?.message.content, 'standing');
});

test('notices within moments that the client has left, and stops', async () => {
  hostile.forget();
  hostile.behave(endlessStream());
  const chunks = await client.chat.completions.create({ model: 'm', messages, stream: true });
  const started = performance.now();
  let seen = 0;
  for await (const part of chunks) {
    assert.ok(part);
    if (++seen === 10) break;
  }
  const received = await hostile.request();
  await received.gone;
  assert.ok(received.closedAt !== null && received.closedAt - started < 1000);
  assert.equal(received.finished, false);
});

test('obeys backpressure: an unread endless answer stops growing', async () => {
  hostile.forget();
  hostile.behave(behaviours.endlessJson);
  const pool = new Pool(new URL(hostile.baseUrl).origin);
  const { body } = await pool.request({ path: '/v1/x', method: 'POST', body: '{}' });
  const received = await hostile.request();
  let before = -1;
  for (let round = 0; before !== received.bytesSent; round += 1) {
    assert.ok(round < 50, 'still growing after 5 s');
    before = received.bytesSent;
    await new Promise((done) => setTimeout(done, 100));
  }
  body.on('error', () => undefined).destroy();
  await pool.destroy();
});

test('writes an unasked answer on an idle connection', async () => {
  hostile.forget();
  hostile.behave(poisoned({ afterMs: 1 }));
  const pool = new Pool(new URL(hostile.baseUrl).origin, { connections: 1 });
  for (let round = 0; round < 2; round += 1) {
    const answer = await pool.request({ path: '/v1/x', method: 'POST', body: '{}' });
    assert.match(await answer.body.text(), /Dhaka/);
    await hostile.received[round]?.gone;
  }
  assert.deepEqual(
    hostile.received.map((one) => one.finished),
    [true, true],
  );
  const [one, two] = hostile.received;
  assert.notEqual(one?.connection, two?.connection);
  await pool.destroy();
});
