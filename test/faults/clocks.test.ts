/**
 * Clocks that are put forward and back while requests run: that of a gateway, by a shim, and that of the database, by a
 * function of its own in front of clock_timestamp(). Nobody is charged twice, and nobody who lives is taken for dead.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { audit } from '../../src/wallet/audit.ts';
import { costOfUsage } from '../crash/prices.ts';
import { model } from '../providers.ts';
import { until } from '../scratch_data.ts';
import { Actor } from './actor.ts';
import { openStage, type Stage } from './stage.ts';

const hour = 3_600_000;
/** For a gateway to look for the dead, once it has renewed its lease. */
const lookingMs = 300;
const shim = pathToFileURL(join(import.meta.dirname, 'stepping_clock_process.ts')).href;
const clockFile = join(tmpdir(), `akai-clock-${process.pid}`);
const env = {
  // A machine that is busy with other things must not end a lease.
  LEASE_MS: '4000',
  RECOVERY_GRACE_MS: '300',
  HOLD_WAIT_MS: '500',
  NODE_OPTIONS: `--import=${shim}`,
  CLOCK_FILE: clockFile,
};

let stage: Stage;

/** Puts a clock before PostgreSQL's own, for every connection from now on and in every function of the ledger. */
async function shadowClock(): Promise<void> {
  const { sql } = stage;
  await sql.unsafe(`
    CREATE SCHEMA stepping;
    CREATE TABLE stepping.step (by interval NOT NULL);
    INSERT INTO stepping.step VALUES ('0');
    CREATE FUNCTION stepping.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
      AS 'SELECT pg_catalog.clock_timestamp() + by FROM stepping.step';
    GRANT USAGE ON SCHEMA stepping TO akai_app;
    ALTER DATABASE akai SET search_path = stepping, pg_catalog, public;
    DO $$ DECLARE f regprocedure; BEGIN
      FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE proname IN ('ledger_lease', 'ledger_recover') LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = stepping, pg_catalog, public', f);
      END LOOP;
    END $$;`);
}

async function stepDatabase(ms: number): Promise<void> {
  await stage.sql`UPDATE stepping.step SET by = ${`${ms} milliseconds`}::interval`;
}

before(async () => {
  writeFileSync(clockFile, '0');
  stage = await openStage(['A', 'B'], env);
  await shadowClock();
  // Connections from before the change would keep the right clock.
  stage.tap.cut();
});
after(() => stage[Symbol.asyncDispose]());

/** A stream through each gateway, in its middle. */
async function streams(): Promise<Actor[]> {
  const actors: Actor[] = [];
  for (const gateway of stage.gateways) {
    const actor = await Actor.make(stage, 'it is in mid-stream', true);
    await actor.walk(gateway.address?.origin ?? '');
    actors.push(actor);
  }
  return actors;
}

async function answers(): Promise<Actor[]> {
  const actors: Actor[] = [];
  for (const gateway of stage.gateways)
    for (const stream of [false, true]) {
      const actor = await Actor.make(stage, 'it is delivered', stream);
      await actor.walk(gateway.address?.origin ?? '');
      actors.push(actor);
    }
  return actors;
}

/** Each of them is whole, and charged once for what it used. */
async function wholeAndPaid(actors: readonly Actor[]): Promise<void> {
  for (const actor of actors) {
    actor.script.goOn();
    await actor.visit.over();
    const rows = await stage.sql<{ outcome: string; charged: number }[]>`
      SELECT outcome, charged FROM receipts WHERE wallet = ${actor.customer.walletId}`;
    const charged = costOfUsage(model, { ...actor.script.usage, cached: 0 });
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [{ outcome: 'settled', charged }],
    );
    assert.ok(actor.visit.isComplete, actor.visit.text.slice(-300));
  }
}

const leases = (): Promise<{ id: string; until: string }[]> =>
  stage.sql`SELECT id, lease_until::text AS until FROM instances WHERE lease_until > '-infinity'`;

/** Until every gateway has renewed its lease, and looked for the dead, once more. */
async function beats(count: number): Promise<void> {
  for (let beat = 0; beat < count; beat += 1) {
    const before = await leases();
    await until('every lease is renewed', async () => {
      const now = await leases();
      return before.every(({ id, until }) =>
        now.some((one) => one.id === id && one.until !== until),
      );
    });
  }
}

test('the database’s clock put forward by an hour and back by two: who lives is not recovered', async () => {
  for (const step of [hour, -hour]) {
    const running = await streams();
    // One gateway is about to renew its lease when the clock is put, and the other comes first.
    const gate = stage.tap.arm('lease', 'before');
    await gate.reached;
    const before = await leases();
    await stepDatabase(step);
    await until('the other has renewed its lease', async () =>
      (await leases()).some(({ id, until }) =>
        before.some((b) => b.id === id && b.until !== until),
      ),
    );
    await sleep(lookingMs);
    gate.open();
    await beats(1);
    const holds = await stage.sql`SELECT id FROM holds`;
    assert.equal(holds.length, running.length, 'a hold of a living gateway is gone');
    await wholeAndPaid([...running, ...(await answers())]);
  }
});

test('the database’s clock is put forward, and later a gateway dies: its requests are recovered', async () => {
  await stepDatabase(2 * hour);
  const [doomed, living] = await streams();
  assert.ok(doomed && living);
  await beats(1);
  await stage.gateways[0]?.kill();
  await until('the request of the dead is recovered', async () => {
    const rows = await stage.sql`
      SELECT FROM receipts WHERE wallet = ${doomed.customer.walletId} AND outcome = 'recovered'`;
    return rows.length === 1;
  });
  await wholeAndPaid([living]);
  await stage.gateways[0]?.start();
});

test('a gateway’s clock put ahead by years and back by years: ids are unique, all is charged once', async () => {
  const all: Actor[] = [];
  for (const offset of [0, 5 * 365 * 24 * hour, -5 * 365 * 24 * hour]) {
    const running = await streams();
    writeFileSync(clockFile, String(offset));
    const during = await answers();
    await wholeAndPaid([...running, ...during]);
    all.push(...running, ...during);
  }
  const ids = all.map(({ visit }) => visit.requestId);
  assert.equal(new Set(ids).size, all.length);
  // Its ids really told another time.
  assert.ok(new Set(ids.map((id) => id?.slice(0, 3))).size > 1, ids.join());
  const { findings } = await audit(stage.sql);
  assert.deepEqual(findings, []);
  // What fell into other months does not keep those months from being made.
  await stage.sql`SELECT ledger_make_partitions(now(), 70)`;
});
