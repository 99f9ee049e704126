/** A conversation stays with the offer that may have its prompt cached, while that is worth money and nobody said otherwise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providers } from '../catalogue/catalogue.ts';
import { loadConfig } from '../config.ts';
import { readChatRequest } from './chat_request.ts';
import { Routes } from './choose.ts';
import { Conversations } from './conversations.ts';

const keys = Object.fromEntries(
  ['GROQ', 'TOGETHER', 'FIREWORKS', 'DEEPINFRA', 'CEREBRAS'].map((name) => [
    `${name}_API_KEY`,
    'x',
  ]),
);
const model = 'openai/gpt-oss-120b';

function asking(content: string, more: object = {}) {
  const messages = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content },
  ];
  return readChatRequest(Buffer.from(JSON.stringify({ model, messages, ...more })));
}

function setting() {
  const routes = new Routes(loadConfig({ MODE: 'live', ...keys }, [...providers.keys()]), null);
  const conversations = new Conversations();
  const route = (request: ReturnType<typeof asking>, account = 'one') =>
    conversations.continued(routes.choose(request), request, account);
  const { targets, conversation } = route(asking('Hi'));
  const other = targets.findLast(
    ({ offer: { prices } }) => prices.cachedInput !== null && prices.cachedInput < prices.input,
  );
  assert.ok(
    other && other !== targets[0] && conversation !== undefined,
    'the catalogue has no such model',
  );
  conversations.answered(conversation, other);
  const isFirst = (request: ReturnType<typeof asking>, account?: string) =>
    route(request, account).targets[0] === other;
  return { route, other, isFirst, all: targets };
}

test('the next request of it is taken to the same offer; what begins otherwise, or is another’s, is not', () => {
  const { route, isFirst, all } = setting();
  assert.ok(isFirst(asking('Hi')));
  assert.ok(isFirst(asking('Hi', { temperature: 1 })));
  assert.deepEqual(new Set(route(asking('Hi')).targets), new Set(all));
  assert.ok(!isFirst(asking('Hello')));
  assert.ok(!isFirst(asking('Hi'), 'two'));
  assert.ok(!isFirst(asking('Hi', { session_id: 'mine' })));
});

test('neither against the client’s own order nor to an offer that is not well', () => {
  const { isFirst, other } = setting();
  assert.ok(!isFirst(asking('Hi', { provider: { sort: 'price' } })));
  assert.ok(isFirst(asking('Hi', { provider: { ignore: ['nobody'] } })));
  other.health.failed(performance.now(), 'reset');
  assert.ok(!isFirst(asking('Hi')));
});
