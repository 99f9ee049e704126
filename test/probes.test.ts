/** Tiny requests show what an offer can really do: it is written down, shown, known to every process, and routing goes by it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Behaviour, type Hostile, startHostile } from './hostile.ts';
import { completion, failure, json, stream, whole } from './hostile_behaviours.ts';
import { type Installation, startInstallation } from './installation.ts';
import { twoOffers } from './providers.ts';
import { until } from './scratch_data.ts';
import { openSharedDatabase, type SharedDatabase } from './shared_database.ts';

const stack = new AsyncDisposableStack();
let database: SharedDatabase;
let groq: Hostile;
let deepinfra: Hostile;
let first: Installation;
let start: (env?: Record<string, string>) => Promise<Installation>;

before(async () => {
  database = stack.use(await openSharedDatabase());
  [groq, deepinfra] = await Promise.all([startHostile(), startHostile()]);
  for (const hostile of [groq, deepinfra]) {
    stack.defer(() => hostile.close());
    hostile.behave(honest());
  }
  const settings = {
    GROQ_API_KEY: 'test',
    GROQ_BASE_URL: groq.baseUrl,
    DEEPINFRA_API_KEY: 'test',
    DEEPINFRA_BASE_URL: deepinfra.baseUrl,
    RATE_LIMIT_RPM: '0',
    AKAI_SECRET: 'one secret for every server of these tests',
  };
  start = async (env = {}) =>
    stack.use(await startInstallation({ databaseUrl: database.url, env: { ...settings, ...env } }));
  first = await start();
});
after(() => stack.disposeAsync());

type Flaw = 'tools' | 'broken arguments' | 'schema' | 'usage' | 'cut';

/** Does what it is asked for, but for what is wrong with it. */
function honest(...flaws: readonly Flaw[]): Behaviour {
  return (received) => {
    const { body } = received;
    if (body?.stream === true) {
      const streamed = stream({ usage: flaws.includes('usage') ? 'none' : 'last' });
      return typeof streamed === 'function' ? streamed(received) : streamed;
    }
    if (flaws.includes('cut')) return [whole(finished({ content: '' }, 'length'))];
    if (body?.tools && !flaws.includes('tools')) {
      const text = flaws.includes('broken arguments') ? '{"city":' : '{"city":"Dhaka"}';
      const call = {
        id: 'call_1',
        type: 'function',
        function: { name: 'note_city', arguments: text },
      };
      return [whole(finished({ content: null, tool_calls: [call] }, 'tool_calls'))];
    }
    if (body?.response_format && !flaws.includes('schema')) return json({ text: '{"sum":5}' });
    return json({ text: 'Hello.' });
  };
}

function finished(message: object, finish_reason: string): string {
  const choice = { index: 0, message: { role: 'assistant', ...message }, finish_reason };
  return completion('', { choices: [choice] });
}

interface Result {
  readonly offer: string;
  readonly probe: string;
  readonly passed: boolean | null;
  readonly reason: string;
  readonly input_tokens: number | null;
  readonly cost_usd: string | null;
}

/** By provider and probe. */
async function probed(...command: string[]): Promise<Record<string, boolean | null>> {
  const { probes } = await first.akai<{ probes: Result[] }>(...command, '--model', twoOffers);
  return Object.fromEntries(
    probes.map(({ offer, probe, passed }) => [`${offer.split('@')[1]} ${probe}`, passed]),
  );
}

interface Endpoint {
  readonly tag: string;
  readonly probes: Readonly<Record<string, boolean | string | null>>;
}

async function shown({ baseUrl, key }: Installation, provider: string) {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${baseUrl}/models/${twoOffers}/endpoints`, { headers });
  // as: the form of this answer
  const { data } = (await response.json()) as { data: { endpoints: Endpoint[] } };
  return data.endpoints.find(({ tag }) => tag === provider)?.probes ?? {};
}

/** Who is asked first by a request with these members. */
async function asked({ baseUrl, key }: Installation, members: object): Promise<string> {
  for (const hostile of [groq, deepinfra]) hostile.forget();
  const messages = [{ role: 'user', content: 'Hello' }];
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: twoOffers, messages, max_tokens: 5, ...members }),
    signal: AbortSignal.timeout(20_000),
  });
  await response.text();
  assert.equal(response.status, 200);
  const askedOf = [groq, deepinfra].filter(({ received }) => received.length > 0);
  assert.equal(askedOf.length, 1);
  return askedOf[0] === groq ? 'groq' : 'deepinfra';
}

const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
const response_format = {
  type: 'json_schema',
  json_schema: { name: 's', schema: { type: 'object' } },
};

test('what an offer cannot do puts it behind others for what needs that, in every process', async () => {
  const cheaper = await asked(first, {});
  const dearer = cheaper === 'groq' ? 'deepinfra' : 'groq';
  const hostile = cheaper === 'groq' ? groq : deepinfra;
  hostile.behave(honest('broken arguments', 'schema', 'usage'));
  const before = await database.owner`SELECT count(*) FROM receipts`;
  assert.deepEqual(await probed('probes', 'run'), {
    [`${cheaper} plain`]: true,
    [`${cheaper} tools`]: false,
    [`${cheaper} structured_outputs`]: false,
    [`${cheaper} usage`]: false,
    [`${dearer} plain`]: true,
    [`${dearer} tools`]: true,
    [`${dearer} structured_outputs`]: true,
    [`${dearer} usage`]: true,
  });
  assert.deepEqual(await database.owner`SELECT count(*) FROM receipts`, before);
  await until('the server has heard', async () => (await shown(first, cheaper)).usage === false);
  const { checked_at, ...found } = await shown(first, dearer);
  assert.deepEqual(found, { plain: true, tools: true, structured_outputs: true, usage: true });
  assert.ok(Date.parse(String(checked_at)) > Date.now() - 60_000);
  const later = await start();
  for (const server of [first, later]) {
    assert.equal(await asked(server, {}), cheaper);
    assert.equal(await asked(server, { response_format: { type: 'json_object' } }), cheaper);
    assert.equal(await asked(server, { tools }), dearer);
    assert.equal(await asked(server, { response_format }), dearer);
    assert.equal(await asked(server, { stream: true }), dearer);
    // The client's own word, and a choice of one.
    assert.equal(await asked(server, { tools, provider: { order: [cheaper] } }), cheaper);
    assert.equal(await asked(server, { tools, provider: { only: [cheaper] } }), cheaper);
  }
  const metrics = await (await fetch(`${first.origin}/metrics`)).text();
  assert.ok(
    metrics.includes(`akai_probe_passed{offer="${twoOffers}@${cheaper}",probe="tools"} 0\n`),
  );
  const listed = await first.akai<{ probes: Result[] }>('probes', '--model', twoOffers);
  const failed = listed.probes.filter(({ passed }) => passed === false);
  assert.deepEqual(
    failed.map(({ probe, reason }) => [probe, reason]),
    [
      ['tools', 'the arguments of the tool are not the JSON that was asked for'],
      ['structured_outputs', 'the text is not the JSON that was asked for'],
      ['usage', 'the stream brought no usage'],
    ],
  );
  // Of what failed both tries are counted.
  assert.equal(failed[0]?.input_tokens, 48);
  assert.notEqual(failed[0]?.cost_usd, null);
  hostile.behave(honest());
  await probed('probes', 'run');
  await until('it is asked again', async () => (await asked(later, { tools })) === cheaper);
});

test('what could not be found out changes nothing; an offer that does not answer is asked no more, and counts as failing', async () => {
  groq.behave(honest('cut'));
  deepinfra.behave(failure(429, { retryAfter: '1' }));
  assert.deepEqual(await probed('probes', 'run'), { 'groq plain': null, 'deepinfra plain': null });
  assert.equal((await shown(first, 'groq')).plain, true);
  groq.behave(['RESET']);
  groq.forget();
  deepinfra.behave(failure(500));
  const before = await first.akai<{ probes: Result[] }>('probes', '--model', twoOffers);
  assert.ok(before.probes.some(({ passed }) => passed === null));
  assert.deepEqual(await probed('probes', 'run'), {
    'groq plain': false,
    'deepinfra plain': false,
  });
  assert.equal(groq.received.length, 2, 'once more, and then no more');
  await until('it is known', async () => (await shown(first, 'groq')).plain === false);
  const headers = { authorization: `Bearer ${first.key}` };
  const response = await fetch(`${first.baseUrl}/models/${twoOffers}/endpoints`, { headers });
  // as: the form of this answer
  const { data } = (await response.json()) as {
    data: { endpoints: { uptime_last_30m: number }[] };
  };
  assert.ok(data.endpoints.every(({ uptime_last_30m }) => uptime_last_30m < 1));
});

test('a key that a probe finds not to work rests in every process', async () => {
  groq.behave(failure(401));
  deepinfra.behave(honest());
  await probed('probes', 'run');
  await until('the server has heard', async () =>
    (await (await fetch(`${first.origin}/metrics`)).text()).includes(
      'akai_provider_keys_resting{provider="groq"} 1\n',
    ),
  );
});

test('on a schedule, one of several processes asks, each provider one thing at a time; stopping does not wait for it', async () => {
  await database.owner`DELETE FROM offer_probes`;
  let most = 0;
  for (const hostile of [groq, deepinfra]) {
    let underWay = 0;
    hostile.behave(async function* () {
      underWay += 1;
      most = Math.max(most, underWay);
      // Long enough for whoever asks at the same time to be noticed.
      yield { waitMs: 5 };
      underWay -= 1;
      yield* json();
    });
  }
  const servers = await Promise.all([start({ PROBES_EVERY: '60' }), start({ PROBES_EVERY: '60' })]);
  const count = async (): Promise<number> => {
    const [row] = await database.owner<{ count: number }[]>`
      SELECT count(*)::int AS count FROM offer_probes WHERE probe = 'plain' AND passed`;
    return row?.count ?? 0;
  };
  await until('offers are probed', async () => (await count()) > 5);
  assert.equal(most, 1);
  for (const hostile of [groq, deepinfra]) hostile.behave(['HANG']);
  const startedAt = performance.now();
  for (const server of servers) assert.equal(await server.stop(), 0);
  assert.ok(performance.now() - startedAt < 15_000);
  const [twice] = await database.owner`
    SELECT offer, probe FROM offer_probes GROUP BY offer, probe HAVING count(*) > 1`;
  assert.equal(twice, undefined);
  assert.equal((await first.akai('audit')).ok, true);
});
