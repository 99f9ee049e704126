/**
 * PostgreSQL restarted, stopped at once and replaced by its standby, and a gateway killed, under the load of the crash rounds:
 * what has begun is finished, what is new waits or hears 503, and nothing is free or charged twice.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../../src/db/connection.ts';
import { socketPath } from '../../src/db/place.ts';
import type { Sighting } from '../crash/client.ts';
import { type Provider, startProvider } from '../crash/provider.ts';
import { playRound, type RoundResult } from '../crash/round.ts';
import { type Fault, type Stage as RoundStage, read } from '../crash/stage.ts';
import { until } from '../scratch_data.ts';
import { endDatabase, openStage, restartDatabase, type Stage } from './stage.ts';
import { type Standby, startStandby } from './standby.ts';

/** Longer than the database is away, also on a busy machine: no lease may end meanwhile. */
const env = { LEASE_MS: '15000', RECOVERY_GRACE_MS: '300', HOLD_WAIT_MS: '500' };

/** Load after each fault; ms. */
const calmMs = 700;

const stack = new AsyncDisposableStack();
let stage: Stage;
let provider: Provider;
let standby: Standby | null = null;
let sql: Sql;

before(async () => {
  provider = stack.use(await startProvider());
  // After the gateways, which then have a database to take leave of.
  stack.defer(async () => standby?.[Symbol.asyncDispose]());
  stage = stack.use(await openStage(['A', 'B'], { ...env, OPENAI_BASE_URL: provider.baseUrl }));
  ({ sql } = stage);
  standby = await startStandby(stage.place, sql);
});
after(() => stack.disposeAsync());

/** What happens to the database or to the first gateway, by name. */
const doings: Readonly<Record<string, () => Promise<void>>> = {
  'fast restart': async () => {
    await endDatabase(stage.place, 'SIGINT');
    await restartDatabase(stage.place);
  },
  'immediate restart': async () => {
    await endDatabase(stage.place, 'SIGQUIT');
    await restartDatabase(stage.place);
  },
  failover: async () => {
    await endDatabase(stage.place, 'SIGKILL');
    if (!standby) throw new Error('there is no standby');
    await standby.promote();
    stage.tap.redirect(socketPath(standby.place));
    sql = standby.sql;
  },
  'kill gateway': async () => {
    await stage.gateways[0]?.kill();
    // The other has all the load, and in the end the dead one's requests: nobody has to wait for the end of its lease.
    const then = await sql<{ id: string; until: string }[]>`
      SELECT id, lease_until::text AS until FROM instances`;
    let renewed: string[] = [];
    await until('the other gateway renews its lease', async () => {
      const rows = await sql<{ id: string; until: string }[]>`
        SELECT id, lease_until::text AS until FROM instances`;
      renewed = rows
        .filter((row) => then.some((old) => old.id === row.id && old.until !== row.until))
        .map(({ id }) => id);
      return renewed.length > 0;
    });
    await sql`UPDATE instances SET lease_until = '-infinity' WHERE id <> ALL (${renewed}::uuid[])`;
  },
};

function play(seed: number, kinds: readonly string[]): Promise<RoundResult> {
  const faults: Fault[] = [];
  const roundStage: RoundStage = {
    layout: 'shared',
    gateways: stage.gateways,
    get sql() {
      return sql;
    },
    faults,
    fail: async (kind) => {
      const gateway = kind === 'kill gateway' ? 'A' : null;
      const fault = { kind, gateway, from: Date.now(), to: Number.POSITIVE_INFINITY };
      faults.push(fault);
      await doings[kind]?.();
      await read(() => sql`SELECT 1`);
      fault.to = Date.now();
      await sleep(calmMs);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return playRound(roundStage, provider, seed, kinds);
}

/** Of those that nothing but the database has kept from their end. */
function unfinished({ order, left, seen, status, code }: Sighting): boolean {
  if (left || order.ending !== 'whole' || seen === 'complete') return false;
  const isRefusal = seen === 'refused' && (status === 402 || code === 'database_unavailable');
  return !isRefusal;
}

/** What the gateways say of requests that they could not answer. */
function failures(): string {
  return stage.gateways
    .flatMap((gateway) => gateway.output().split('\n'))
    .filter((line) => line.includes('the request failed'))
    .join('\n');
}

function check(result: RoundResult): void {
  assert.deepEqual(result.violations, [], result.violations.join('\n'));
  const { complete, lost, doubled } = result.counts;
  assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
  assert.ok(complete >= 20, `nothing was tried: ${JSON.stringify(result.counts)}`);
}

test('restarts and a failover: what has begun is finished, what is new waits or hears 503', async (context) => {
  const result = await play(1, ['fast restart', 'immediate restart', 'failover']);
  check(result);
  const cut = result.sightings.filter(unfinished);
  assert.deepEqual(cut, [], failures());
  // A wait for the database is bounded, and there was somebody to wait.
  const { faults, sightings } = result;
  const across = sightings.filter(({ sentAt, endedAt, seen }) =>
    faults.some(({ from, to }) => seen === 'complete' && sentAt < from && endedAt > to),
  );
  assert.ok(across.length > 0, 'no request was under way');
  context.diagnostic(
    `${result.counts.requests} requests, ${across.length} answered across an outage, ${
      sightings.filter(({ code }) => code === 'database_unavailable').length
    } × 503`,
  );
});

test('a gateway dies under load: the other goes on with the same wallets', async (context) => {
  const result = await play(2, ['kill gateway']);
  check(result);
  const others = result.sightings.filter(({ gateway }) => gateway === 'B');
  assert.deepEqual(others.filter(unfinished), [], failures());
  const [fault] = result.faults;
  const late = others.filter(
    ({ sentAt, seen }) => fault && sentAt > fault.from && seen === 'complete',
  );
  assert.ok(late.length >= 10, `${late.length} answers after the death`);
  context.diagnostic(`${result.counts.requests} requests, ${result.counts.recovered} recovered`);
});
