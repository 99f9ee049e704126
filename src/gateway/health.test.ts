/** The breaker and what routing knows of an offer, on a clock that the test moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Healths } from './health.ts';

function offer() {
  const healths = new Healths();
  const told: [until: number | null, reason: string][] = [];
  healths.onBreaker = (_, until, reason) => told.push([until, reason]);
  return { health: healths.of('acme/one@groq'), told };
}

test('five failures in a row open the breaker; after a while one request is let through, which decides', () => {
  const { health, told } = offer();
  for (let at = 1; at <= 4; at += 1) health.failed(at, 'reset');
  assert.equal(health.state(5), 'closed');
  health.failed(5, 'reset');
  assert.equal(health.state(5), 'open');
  assert.deepEqual(told, [[10_005, 'reset']]);
  assert.equal(health.begin(10_004), false);
  assert.equal(health.state(10_005), 'half-open');
  assert.equal(health.begin(10_005), true);
  assert.equal(health.begin(10_006), false, 'a second request was let through');
  health.failed(10_100, 'again');
  assert.equal(health.state(10_100), 'open');
  assert.deepEqual(told.at(-1), [30_100, 'again'], 'it does not wait twice as long');
  assert.equal(health.begin(30_100), true);
  health.succeeded(30_200, 40);
  assert.equal(health.state(30_200), 'closed');
  assert.deepEqual(told.at(-1), [null, 'it answered']);
  for (let at = 1; at <= 5; at += 1) health.failed(40_000, 'reset');
  assert.deepEqual(told.at(-1), [50_000, 'reset'], 'an earlier time counts on');
});

test('a trial that says nothing, or never ends, does not keep the breaker shut for ever', () => {
  const { health } = offer();
  for (let at = 1; at <= 5; at += 1) health.failed(at, 'reset');
  assert.ok(health.begin(10_005));
  health.dropped();
  assert.ok(health.begin(10_006));
  assert.ok(!health.begin(70_000));
  assert.ok(health.begin(70_007));
});

test('half of many calls failing opens it too, however they are mixed; a third does not', () => {
  for (const [every, opens] of [
    [2, true],
    [3, false],
  ] as const) {
    const { health, told } = offer();
    for (let at = 1; at <= 40; at += 1)
      if (at % every === 0) health.failed(at, 'http 500');
      else health.succeeded(at, 10);
    assert.equal(told.length > 0, opens);
  }
});

test('who asked to be left alone is, until then; an answer ends it', () => {
  const { health } = offer();
  health.limited(7000);
  assert.equal(health.isAvailable(6999), false);
  assert.equal(health.isAvailable(7000), true);
  assert.equal(health.state(1), 'closed');
  health.limited(9000);
  health.succeeded(8000, null);
  assert.equal(health.isAvailable(8001), true);
});

test('what another process found counts as if it were found here', () => {
  const { health, told } = offer();
  health.heard(5000);
  assert.equal(health.state(4999), 'open');
  assert.equal(health.begin(4999), false);
  assert.equal(health.begin(5000), true);
  health.heard(null);
  assert.equal(health.state(1), 'closed');
  assert.deepEqual(told, [], 'what was heard is told again');
});

test('failures are forgotten by half in thirty seconds, so that an offer that is passed over gets another chance', () => {
  const { health } = offer();
  health.failed(0, 'reset');
  const share = health.failureShare(0);
  assert.ok(share > 0.1 && !health.isCalm);
  assert.equal(health.failureShare(30_000), share / 2);
  for (let at = 1; at <= 20; at += 1) health.succeeded(at, 10);
  assert.ok(health.isCalm);
});

test('what others have measured is joined to it by how much they have, and stands where nothing was measured here', () => {
  const { health } = offer();
  const nothing = {
    calls: 0,
    failures: 0,
    latency: null,
    latencies: 0,
    throughput: null,
    throughputs: 0,
  };
  assert.deepEqual(health.figures(0), nothing);
  health.others = [
    { calls: 9, failures: 1, latency: 500, latencies: 3, throughput: 40, throughputs: 1 },
    { ...nothing, calls: 1 },
  ];
  const { latencyMs, throughput, uptime } = health.report(1000);
  assert.deepEqual([latencyMs, throughput, uptime], [500, 40, 0.9]);
  assert.equal(health.firstByteMs(1000), 500);
  for (let call = 1; call <= 10; call += 1) health.succeeded(1000, 20);
  assert.equal(health.report(1000).latencyMs, 20);
  assert.equal(health.report(1000).uptime, 0.95);
  assert.ok((health.firstByteMs(1000) ?? 0) < 500);
  assert.deepEqual(health.figures(1000), { ...nothing, calls: 10, latency: 20, latencies: 10 });
});

test('the report: medians of the last minutes, and the share of half an hour that did not fail', () => {
  const { health } = offer();
  const nothing = { status: 'closed', latencyMs: null, throughput: null, uptime: null };
  assert.deepEqual(health.report(0), nothing);
  for (const ms of [50, 10, 20, 9000, 30]) health.succeeded(1000, ms);
  health.delivered(100, 2000, 1000);
  health.failed(1000, 'reset');
  assert.deepEqual(health.report(2000), {
    status: 'closed',
    latencyMs: 30,
    throughput: 50,
    uptime: 5 / 6,
  });
  assert.equal(health.report(302_000).latencyMs, null);
  assert.equal(health.report(302_000).uptime, 5 / 6);
  health.succeeded(29.5 * 60_000, 5);
  assert.equal(health.report(29.5 * 60_000).uptime, 6 / 7);
  assert.equal(health.report(31 * 60_000).uptime, 1);
  assert.equal(health.firstByteMs(1e7), null);
});
