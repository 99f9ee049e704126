/** Answers with nothing in them, and answers whose content stands in unusual places: the former are free, the latter are not. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Behaviour } from './hostile.ts';
import { chunk, completion, sse, whole } from './hostile_behaviours.ts';
import { until } from './scratch_data.ts';
import { readAll, startStreamScene } from './stream_scene.ts';

const { upstream, installation, books, open, accountWith, stop } = await startStreamScene();
after(stop);
const { baseUrl, key } = installation;

/** A whole answer, or the same as a stream; `usage` undefined leaves usage out. */
function answering(message: object, usage: unknown, finish = 'stop'): Behaviour {
  return ({ body }) => {
    const more = { choices: [{ index: 0, message, finish_reason: finish }], usage };
    if (body?.stream !== true) return [whole(completion('', more))];
    const last = JSON.stringify({ ...JSON.parse(chunk({})), choices: [], usage });
    return sse([
      `data: ${chunk(message)}`,
      `data: ${chunk({}, finish)}`,
      ...(usage === undefined ? [] : [`data: ${last}`]),
      'data: [DONE]',
    ]);
  };
}

async function ask(stream: boolean) {
  const call = await open(stream ? { stream_options: { include_usage: true } } : { stream });
  assert.equal(call.response.statusCode, 200);
  const text = await readAll(call);
  const usage: unknown = stream
    ? JSON.parse(text.split('\n\n').at(-3)?.slice(6) ?? '').usage
    : JSON.parse(text).usage;
  const receipt = await books.receipt(call.requestId);
  return { text, usage, receipt, requestId: call.requestId, headers: call.response.headers };
}

const reported = (prompt: number, output: number, reasoning = 0) => ({
  prompt_tokens: prompt,
  completion_tokens: output,
  total_tokens: prompt + output,
  completion_tokens_details: { reasoning_tokens: reasoning },
});

describe('an empty answer is free, and its receipt says why', () => {
  const messages: readonly object[] = [
    { role: 'assistant', content: '' },
    { role: 'assistant', content: null, refusal: null, tool_calls: [], annotations: [] },
    {},
  ];
  const usages = { none: undefined, 'no output': reported(24, 0), zeros: reported(0, 0) };
  for (const stream of [false, true])
    for (const [name, usage] of Object.entries(usages))
      test(`${stream ? 'stream' : 'JSON'}, usage: ${name}`, async () => {
        for (const [message, finish] of messages.flatMap((message) =>
          ['stop', 'content_filter'].map((finish) => [message, finish] as const),
        )) {
          upstream.behave(answering(message, usage, finish));
          const { text, usage: told, receipt, requestId, headers } = await ask(stream);
          // as: our own answer
          assert.equal((told as { cost: number }).cost, 0, text);
          if (!stream) assert.equal(headers['x-cost-usd'], '0');
          const { outcome, cost, charged, detail } = receipt;
          assert.deepEqual([outcome, cost, charged], ['released', 0, 0]);
          assert.equal(detail.reason, 'the answer was empty');
          const asked = await fetch(`${baseUrl}/generation?id=${requestId}`, {
            headers: { authorization: `Bearer ${key}` },
          });
          const { data } = JSON.parse(await asked.text());
          assert.deepEqual(
            [data.charged, data.lines, data.reason],
            ['0', [], 'the answer was empty'],
          );
        }
      });
});

describe('what is not empty is charged', () => {
  const nothing = { role: 'assistant', content: '' };
  const text = { role: 'assistant', content: 'four' };
  const cases: readonly [name: string, message: object, usage: object, output: number | null][] = [
    ['all of it was thought', nothing, reported(24, 50, 50), 50],
    ['all of it was thought, and counted apart', nothing, reported(24, 0, 50), 50],
    ['tokens that cannot be seen', nothing, reported(24, 7), 7],
    ['text for which no tokens are reported', text, reported(24, 0), null],
    ['text for which zeros are reported', text, reported(0, 0), null],
    [
      'a tool call',
      { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'four' } }] },
      reported(0, 0),
      null,
    ],
  ];
  for (const [name, message, usage, output] of cases)
    test(name, async () => {
      for (const stream of [false, true]) {
        upstream.behave(answering(message, usage, output === 50 ? 'length' : 'stop'));
        const { receipt } = await ask(stream);
        assert.equal(receipt.outcome, output === null ? 'estimated' : 'settled');
        assert.equal(receipt.output_tokens, output ?? 1);
        if (output !== null) assert.equal(receipt.charged, 24 * 150 + output * 600);
        assert.equal(receipt.charged, receipt.input_tokens * 150 + receipt.output_tokens * 600);
      }
    });

  test('text that comes in one event with its finish', async () => {
    upstream.behave(() => sse([`data: ${chunk({ content: 'four' }, 'stop')}`, 'data: [DONE]']));
    const call = await open({});
    assert.match(await readAll(call), /four/);
    const receipt = await books.receipt(call.requestId);
    assert.deepEqual([receipt.outcome, receipt.output_tokens], ['estimated', 1]);
  });
});

test('whatever a stream is made of, a client that reads it and leaves has paid for it', async () => {
  const part = 'x'.repeat(100);
  const deltas: readonly [delta: object, bytes: number][] = [
    [{ function_call: { arguments: part } }, 100],
    [{ content: [{ type: 'text', text: part }] }, 100],
    [{ reasoning_details: [part] }, 104],
    [{ invented_tomorrow: { so: part } }, 109],
  ];
  const { key: payer } = await accountWith('10');
  for (const [delta, bytes] of deltas) {
    const count = 30;
    const lines = Array.from({ length: count }, () => `data: ${chunk(delta)}`);
    upstream.behave(() => sse(lines, { breakAfter: count, breakWith: ['HANG'] }));
    const call = await open({}, payer);
    let text = '';
    // To stop reading is not to leave.
    for await (const piece of call.response.iterator({ destroyOnReturn: false })) {
      text += piece;
      if (text.split('\n\n').length > count) break;
    }
    // What was committed to the journal reaches the database a moment later.
    await until('the checkpoint has grown with it', async () => {
      const [hold] = await books.sql<{ tokens: number }[]>`
        SELECT checkpoint_output AS tokens FROM holds WHERE id = ${call.requestId.slice(4)}`;
      return (hold?.tokens ?? 0) * 4 >= count * bytes;
    });
    call.leave();
    const receipt = await books.receipt(call.requestId);
    assert.equal(receipt.outcome, 'estimated', JSON.stringify(delta));
    assert.equal(receipt.output_tokens, Math.ceil((count * bytes) / 4), JSON.stringify(delta));
    assert.equal(receipt.charged, receipt.input_tokens * 150 + receipt.output_tokens * 600);
  }
});
