import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { dhakaMidnight, dhakaMoment, dhakaStamp } from './dhaka_time.ts';

describe("Dhaka's time", () => {
  test('has two digits everywhere and six hours more than UTC', () => {
    assert.equal(dhakaStamp(new Date('2026-01-01T20:05:09Z')), '20260102020509');
    assert.equal(dhakaStamp(new Date('2026-12-31T18:00:00Z')), '20270101000000');
    assert.equal(dhakaMoment('2026-02-14 12:31:04.0')?.toISOString(), '2026-02-14T06:31:04.000Z');
    assert.equal(dhakaMoment('20260214123104')?.toISOString(), '2026-02-14T06:31:04.000Z');
    assert.deepEqual([dhakaMoment(''), dhakaMoment('2026-13-01 00:00:00')], [null, null]);
  });

  test('is the same on machines of any zone', async () => {
    const file = new URL('dhaka_time.ts', import.meta.url).href;
    const program = `import { dhakaMidnight, dhakaMoment, dhakaStamp } from ${JSON.stringify(file)};
      process.stdout.write(new Date(2026, 0, 5, 12).getTimezoneOffset() + ' ' + dhakaStamp(new Date('2026-03-08T10:30:00Z')) + ' ' + dhakaMoment('2026-03-08 02:30:00').toISOString());`;
    for (const [zone, offset] of [
      ['America/Los_Angeles', 480],
      ['Asia/Kathmandu', -345],
    ] as const) {
      const run = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '-e', program],
        { env: { TZ: zone } },
      );
      assert.equal(run.stdout, `${offset} 20260308163000 2026-03-07T20:30:00.000Z`);
    }
  });
});

test('a day begins at midnight of Dhaka', () => {
  const midnight = '2026-02-13T18:00:00.000Z';
  for (const moment of [midnight, '2026-02-14T06:31:04Z', '2026-02-14T17:59:59.999Z'])
    assert.equal(dhakaMidnight(new Date(moment)).toISOString(), midnight);
});
