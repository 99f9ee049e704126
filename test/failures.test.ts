/** Money that others have lost, or taken wrongly, by the kind of failure: which test keeps each of them away from here. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

interface Failure {
  readonly what: string;
  /** A file and a part of the name of a test in it; or why there is none yet. */
  readonly tests: readonly (readonly [file: string, name: string])[] | string;
}

const crash = ['test/crash.test.ts', 'rounds of faults, and the books are right'] as const;
const crowd = ['test/crowded_wallet.test.ts', 'not all of it fits: who is refused'] as const;
const small = ['test/streams.test.ts', '500 requests at once on a small wallet'] as const;
const keys = ['src/wallet/key_limits.test.ts', '200 requests of one key over two'] as const;
const leaving = ['test/leaving.test.ts', 'in mid-stream: the upstream hears'] as const;
const dead = ['src/wallet/ledger.test.ts', 'charges the checkpoint, never the hold'] as const;
const cached = ['src/dialects/openai.test.ts', 'is inside of prompt_tokens where'] as const;
const again = ['src/wallet/again.test.ts', 'not one row of the books changes'] as const;
const refund = ['src/wallet/again.test.ts', 'a refund of a superseded request'] as const;
const backOnce = ['src/payments/refund.test.ts', 'ten orders at once for all of it'] as const;
const unspent = ['src/payments/refund.test.ts', 'what is spent or held does not go back'] as const;
const noUsage = ['test/upstream_streams.test.ts', 'without usage: an estimate'] as const;

const failures: readonly Failure[] = [
  {
    what: 'spend that waits in memory is lost when the server stops',
    tests: [['test/streams.test.ts', 'a stopping server lets an open stream finish'], crash],
  },
  { what: 'a queue of spend is not emptied at the end', tests: [crash] },
  {
    what: 'spend is taken from its buffer before it is committed',
    tests: [['src/wallet/ledger_loss.test.ts', 'holds and settlements of one batch, unheard of']],
  },
  { what: 'a buffer is off because another setting is', tests: 'there is no Redis here' },
  { what: 'streams of one provider are booked as free', tests: [noUsage] },
  {
    what: 'writing to a cache is paid too little',
    tests: [['src/dialects/openai.test.ts', 'of an hour is told from one of five minutes']],
  },
  { what: 'a budget is checked before it is used', tests: [crowd] },
  { what: 'a limit of a key or account is passed by', tests: [keys] },
  {
    what: 'a limit is forgotten when its counter expires',
    tests: [['src/wallet/key_limits.test.ts', 'each limit starts anew with its day']],
  },
  { what: 'many requests at once overdraw', tests: [small] },
  { what: 'somebody trusted is not asked to pay first', tests: [crowd, small] },
  {
    what: 'each server has a budget of its own',
    tests: [keys, ['test/two_servers.test.ts', '40 requests at once over both servers']],
  },
  {
    what: 'a long stream ends below zero',
    tests: [['test/ceilings.test.ts', 'a stream whose wallet others empty ends properly']],
  },
  { what: 'a burst ends below zero', tests: [small] },
  {
    what: 'credit may go below zero by design',
    tests: [['src/wallet/ledger_model.test.ts', 'two processes keep the books as the model does']],
  },
  {
    what: 'two requests on credit for one',
    tests: [['src/wallet/ledger.test.ts', 'that its wallet cannot pay is refused alone']],
  },
  {
    what: 'the key of an operator passes by every budget',
    tests: [['test/key_limits.test.ts', 'an administrator pays like anybody']],
  },
  {
    what: 'a cap is overshot by what runs at once',
    tests: [keys, ['test/key_limits.test.ts', 'many requests at once stay within the limit']],
  },
  { what: 'who leaves in mid-stream pays nothing', tests: [leaving] },
  {
    what: 'who leaves before the usage pays nothing',
    tests: [
      ['test/leaving.test.ts', 'after the finish chunk: its usage is waited for'],
      ['test/empty_answers.test.ts', 'a client that reads it and leaves has paid for it'],
    ],
  },
  {
    what: 'usage of zero is replaced by a guess',
    tests: [['test/empty_answers.test.ts', ', usage: ']],
  },
  {
    what: 'more tokens are charged than there can be',
    tests: [['test/upstreams.test.ts', 'a count beyond any context is no count']],
  },
  {
    what: 'streams that brought nothing are charged',
    tests: [['test/leaving.test.ts', 'before the first byte, streamed or not']],
  },
  { what: 'a provider that reports no usage makes it free', tests: [noUsage] },
  { what: 'holds of a process that died stay', tests: [dead, crash] },
  { what: 'a refund is made twice', tests: [refund, again, backOnce] },
  { what: 'a refund leaves limits in doubt', tests: [refund] },
  {
    what: 'a refund depends on the moment',
    tests: [['src/answers/store.test.ts', 'a process that was frozen awakes'], unspent],
  },
  {
    what: 'counters grow away from the books and refuse',
    tests: [['src/wallet/audit.test.ts', 'every check finds the row that lies'], keys],
  },
  {
    what: 'one request is charged twice',
    tests: [['src/wallet/ledger.test.ts', 'twice, in one batch, by two processes'], again],
  },
  {
    what: 'tokens of a cache count twice, usage in an odd place is lost',
    tests: [cached, ['src/gateway/sse.test.ts', 'usage is taken out wherever it stands']],
  },
  {
    what: 'a notice of a payment that comes twice credits twice',
    tests: [
      ['src/payments/settle.test.ts', 'fifty callbacks beside a webhook and the schedule'],
      ['src/payments/settle.test.ts', 'one transaction pays one payment, of one account'],
    ],
  },
  {
    what: 'a notice of a payment is forged',
    tests: [
      ['src/payments/settle.test.ts', 'a forged success of a payment that nobody'],
      ['src/payments/uddoktapay.test.ts', 'a webhook without our key is not believed'],
      ['src/payments/bkash_sns.test.ts', 'any change after it was signed makes it worthless'],
      [
        'src/payments/settle_model.test.ts',
        'credited once and by nobody’s word but the provider’s',
      ],
    ],
  },
  {
    what: 'a database that is away makes good keys bad',
    tests: [
      ['src/gateway/key_directory.test.ts', 'ask the database once'],
      ['src/gateway/key_directory.test.ts', 'while the database is away a known key stays good'],
    ],
  },
  {
    what: 'errors where there are many requests',
    tests: [['src/wallet/ledger_load.test.ts', '600 requests of two processes on 20 wallets']],
  },
];

/** What people who top up elsewhere complain about most. */
const complaints: readonly Failure[] = [
  {
    what: 'it is paid, and not credited',
    tests: [
      ['src/payments/reconcile.test.ts', 'a payment whose browser never came back'],
      ['src/payments/settle.test.ts', 'money that moved is credited although every answer'],
      ['src/payments/rescue.test.ts', 'a paid payment is credited when its payer asks'],
      ['test/payments_crash.test.ts', 'between any two steps of a payment'],
    ],
  },
  {
    what: 'a second order like the first is taken for paid',
    tests: [['src/payments/settle.test.ts', 'one transaction pays one payment, of one account']],
  },
  {
    what: 'money is taken several times for one order',
    tests: [
      ['src/payments/settle.test.ts', 'a capture that is not answered is not asked for again'],
      ['src/payments/settle.test.ts', 'the same key begins one payment'],
      ['src/payments/auto_topup.test.ts', 'one that two processes try at the same time'],
    ],
  },
  {
    what: 'the rate or the bonus is another than was shown',
    tests: [
      ['src/payments/limits.test.ts', 'a payment that comes after its quote is credited as quoted'],
      ['src/payments/quote.test.ts', 'takes the fee off, adds the margin and the bonus'],
    ],
  },
  {
    what: 'a voucher is worth more than once',
    tests: [
      [
        'src/payments/vouchers.test.ts',
        'fifty accounts at once: a voucher is redeemed by one of them',
      ],
    ],
  },
  {
    what: 'it is refunded when it is spent, or three times',
    tests: [
      unspent,
      backOnce,
      ['test/payments_crash.test.ts', 'between any two steps of a refund'],
    ],
  },
];

/** The names of the tests of a file, as they are written; those of `payments_life.test.ts` are members of a table. */
function testsOf(file: string): string[] {
  const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
  return text.match(/\btest\(\s*(['`]).*?\1,|^ {2}'[^'\n]+': async \(way\)/gms) ?? [];
}

function assertShown(what: string, file: string, name: string): void {
  assert.ok(
    testsOf(file).some((call) => call.includes(name)),
    `${what}: ${file} has no test "${name}"`,
  );
}

test('each of the 35 known failures has its test, or the reason why not', () => {
  assert.equal(failures.length, 35);
  for (const [index, { what, tests }] of [...failures, ...complaints].entries()) {
    if (typeof tests === 'string') continue;
    for (const [file, name] of tests) assertShown(`${index + 1}, ${what}`, file, name);
  }
});

test('what is promised about money, and what users complain about elsewhere, has its tests', () => {
  const pages = ['promises.md', 'model_promises.md', 'payment_promises.md'];
  const lines = pages.flatMap((page) =>
    readFileSync(new URL(page, import.meta.url), 'utf8').split('\n'),
  );
  const rows = lines.filter(
    (line) => line.startsWith('| ') && !/^\| --- |\| shown [a-z ]*by \|$/.test(line),
  );
  assert.ok(rows.length > 100, `${rows.length} rows`);
  for (const row of rows) {
    const [what = '', shown = ''] = row.slice(2, -2).split(' | ');
    for (const reference of shown.split(';').map((one) => one.trim())) {
      const [, file, name] = /^(\S+\.test\.ts): (.+)$/.exec(reference) ?? [];
      if (file && name) assertShown(what, file, name);
      else
        assert.ok(existsSync(new URL(`../${reference}`, import.meta.url)), `${what}: ${reference}`);
    }
  }
});

test('only a request that holds money, and a probe of the operator, asks a provider', () => {
  const sources = globSync('src/**/*.ts', { cwd: new URL('..', import.meta.url) }).filter(
    (file) => !file.endsWith('.test.ts'),
  );
  const having = (pattern: RegExp): string[] =>
    sources
      .filter((file) => pattern.test(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')))
      .sort();
  assert.deepEqual(having(/\bupstreams\.send\(/), [
    'src/gateway/attempts.ts',
    'src/gateway/probe.ts',
  ]);
  // A call cannot be without its hold.
  assert.deepEqual(having(/\bfirstAnswer\(call\b/), [
    'src/gateway/stream_answer.ts',
    'src/gateway/whole_answer.ts',
  ]);
  assert.ok(having(/^ {2}readonly hold: OpenHold;/m).includes('src/gateway/attempts.ts'));
});
