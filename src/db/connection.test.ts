import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { copyPrepared } from '../../test/prepared.ts';
import { ScratchData, until } from '../../test/scratch_data.ts';
import { readArray, writeArray } from './arrays.ts';
import { connect, type Sql } from './connection.ts';
import { type Database, openDatabase } from './database.ts';
import { errorCode } from './start-error.ts';

let data: ScratchData;
let database: Database;
let sql: Sql;
/** Has the owner's rights, to end other connections. */
let owner: Sql;

before(async () => {
  data = new ScratchData();
  copyPrepared(data.dataDir);
  database = await openDatabase(data.config(), 'serve', () => {});
  sql = database.connect({ max: 2, name: 'tested' });
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  owner = connect({ path }, { max: 2, name: 'test' });
  await owner`create table notes (id int primary key)`;
  await owner`grant all on notes to akai_app`;
});
after(async () => {
  await owner.end({ timeout: 1 });
  await database.close();
  await data[Symbol.asyncDispose]();
});

const text = fc.oneof(
  fc.string(),
  fc.constantFrom('', 'NULL', 'null', '"', '\\', '{', '}', ',', ' ', 'আমি'),
);
const storable = text.map((value) => value.replaceAll('\0', ''));

test('arrays arrive and leave as PostgreSQL means them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(storable)), async (values) => {
      const [row] = await sql<{ same: unknown; length: number; last: string | null }[]>`
        select ${values}::text[] as same, cardinality(${values}::text[]) as length,
          (${values}::text[])[${values.length}::int] as last`;
      assert.deepEqual(row?.same, values);
      assert.equal(row?.length, values.length);
      assert.equal(row?.last, values.at(-1) ?? null);
    }),
    { numRuns: 60 },
  );
  const when = new Date('2026-11-23T12:00:00.000Z');
  const [row] = await sql`
    select array[[1, 2], [3, 4]]::int8[] as nested, '{}'::int4[] as empty, '[0:1]={7,8}'::int4[] as bounds,
      array[true, false] as flags, array[${when}::timestamptz] as times,
      ${['2c4f7b7e-0000-4000-8000-000000000000']}::uuid[] as ids, ${[1, null, -3]}::int8[] as numbers`;
  assert.deepEqual(
    { ...row },
    {
      nested: [
        [1, 2],
        [3, 4],
      ],
      empty: [],
      bounds: [7, 8],
      flags: [true, false],
      times: [when],
      ids: ['2c4f7b7e-0000-4000-8000-000000000000'],
      numbers: [1, null, -3],
    },
  );
});

test('an array read is the array written, nested too', () => {
  const { tree } = fc.letrec<{ tree: unknown[] }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.array(fc.option(fc.string()), { minLength: 1 }),
      fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (values) => {
      assert.deepEqual(
        readArray(writeArray(values, String), (item) => item),
        values,
      );
    }),
  );
});

describe('transactions', () => {
  const rows = async (): Promise<number[]> =>
    (await owner<{ id: number }[]>`select id from notes order by id`).map(({ id }) => id);
  const endConnection = async (pid: number): Promise<void> => {
    await owner`select pg_terminate_backend(${pid})`;
    await until('the connection has ended', async () => {
      const found = await owner`select from pg_stat_activity where pid = ${pid}`;
      return found.length === 0;
    });
    // The end has to reach this process, too.
    await sleep(50);
  };

  test('are committed whole, or rolled back whole', async () => {
    const answer = await sql.begin(async (transaction) => {
      await transaction`insert into notes values (1)`;
      await transaction`insert into notes values (2)`;
      return 'done';
    });
    assert.equal(answer, 'done');
    const failing = sql.begin(async (transaction) => {
      await transaction`insert into notes values (3)`;
      throw new Error('mine');
    });
    await assert.rejects(failing, /mine/);
    assert.deepEqual(await rows(), [1, 2]);
  });

  test('that went on after a failed statement do not count as committed', async () => {
    const careless = sql.begin(async (transaction) => {
      await transaction`insert into notes values (4)`;
      await transaction`insert into notes values (1)`.catch(() => {});
    });
    await assert.rejects(careless, /rolled back/);
    assert.deepEqual(await rows(), [1, 2]);
  });

  test('take options, and more at once than there are connections wait', async () => {
    const levels = await Promise.all(
      Array.from({ length: 10 }, () =>
        sql.begin('isolation level serializable read only', async (transaction) => {
          const [row] = await transaction<{ level: string }[]>`
            select current_setting('transaction_isolation') as level, pg_sleep(0.01)`;
          return row?.level;
        }),
      ),
    );
    assert.deepEqual(new Set(levels), new Set(['serializable']));
  });

  // Each once ended the process, or committed the second half of the transaction alone.
  for (const [name, afterwards] of [
    ['while a statement runs', (t: Sql) => t`select pg_sleep(5)`],
    ['between statements', (t: Sql) => t`insert into notes values (6)`],
  ] as const)
    test(`whose connection is lost ${name} fail whole, and the next one works`, async () => {
      const lost = sql.begin(async (transaction) => {
        const [row] = await transaction<{ pid: number }[]>`select pg_backend_pid() as pid`;
        await transaction`insert into notes values (5)`;
        const ending = endConnection(row?.pid ?? 0);
        if (name === 'between statements') await ending;
        // as: both have what a statement needs
        await afterwards(transaction as unknown as Sql).catch(() => {});
        await ending;
        await transaction`insert into notes values (7)`;
      });
      await assert.rejects(lost, (error) => /^(CONNECTION_CLOSED|57P01)$/.test(errorCode(error)));
      assert.deepEqual(await rows(), [1, 2]);
      const results = await Promise.all(
        [1, 2, 3, 4].map(() => sql.begin((transaction) => transaction`select 1 as one`)),
      );
      assert.deepEqual(
        results.flat().map(({ one }) => one),
        [1, 1, 1, 1],
      );
    });

  test('a reserved connection cannot be used after it was given back', async () => {
    const reserved = await sql.reserve();
    await reserved`select 1`;
    reserved.release();
    await assert.rejects(async () => reserved`select 1`, { code: 'CONNECTION_CLOSED' });
  });
});

test('under load, connections that are ended again and again are all replaced, and statements fail cleanly', async () => {
  const pool = database.connect({ max: 4, name: 'under load' });
  let stop = false;
  const answers = new Array<number>(16).fill(0);
  const codes = new Set<string>();
  const workers = answers.map(async (_, index) => {
    while (!stop) {
      try {
        const [row] = await pool<
          { own: number }[]
        >`select ${index}::int4 as own, ${[index]}::int4[] as list`;
        assert.equal(row?.own, index);
        answers[index] = (answers[index] ?? 0) + 1;
      } catch (error) {
        codes.add(errorCode(error));
      }
    }
  });
  for (let round = 0; round < 20; round += 1) {
    await sleep(40);
    await owner`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'under load'`;
  }
  const before = [...answers];
  await until('every worker gets answers again', () =>
    answers.every((count, index) => count > (before[index] ?? 0)),
  );
  stop = true;
  await Promise.all(workers);
  const unexpected = [...codes].filter(
    (code) => !/^(57P01|CONNECTION_|ECONNRESET|EPIPE)/.test(code),
  );
  assert.deepEqual(unexpected, []);
});

test('a listener hears again after PostgreSQL was killed', async () => {
  const heard: string[] = [];
  let listening = 0;
  await sql.listen(
    'news',
    (message) => heard.push(message),
    () => {
      listening += 1;
    },
  );
  await owner`select pg_notify('news', 'first')`;
  await until('the first was heard', () => heard.includes('first'));
  process.kill(data.postmaster() ?? 0, 'SIGKILL');
  await until('it listens again', () => listening === 2);
  await owner`select pg_notify('news', 'second')`.catch(
    () => owner`select pg_notify('news', 'second')`,
  );
  await until('the second was heard', () => heard.includes('second'));
});
