/** The outbox through a real database and a strict mail server: written with what it tells about, sent once, tried again, given up loudly. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, beforeEach, test } from 'node:test';
import { runAkai, temporaryDataDir } from '../../test/installation.ts';
import { copyPrepared } from '../../test/prepared.ts';
import { until } from '../../test/scratch_data.ts';
import { openSmtpSink } from '../../test/smtp_sink.ts';
import { type Config, loadConfig } from '../config.ts';
import { openDatabase } from '../db/database.ts';
import { compose } from './compose.ts';
import { claimMails, enqueueMail, type Mail, outboxState } from './outbox.ts';
import { MailSender } from './sender.ts';

const dataDir = await temporaryDataDir();
copyPrepared(dataDir);
const sink = await openSmtpSink();
const config = configFor(`smtp://127.0.0.1:${sink.port}`);
const database = await openDatabase(config, 'command', () => {});
const { sql } = database;
after(async () => {
  await database.close();
  await sink[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

function configFor(smtpUrl: string): Config {
  const env = {
    DATA_DIR: dataDir,
    PORT: '0',
    SMTP_URL: smtpUrl,
    MAIL_FROM: 'Akai <akai@example.com>',
  };
  return loadConfig(env, ['openai']);
}

let count = 0;
const key = (): string => `test ${(count += 1)}`;

function mail(more: Partial<Mail> = {}): Mail {
  const letter = { subject: 'A receipt', paragraphs: ['secret-of-the-mail, and <b>more</b>'] };
  return {
    to: 'rahima@example.com',
    language: 'en',
    key: key(),
    ...compose('en', letter),
    ...more,
  };
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly error: unknown;
}

/** Sends until `done`, with several senders at once, then stops them. */
async function sending(
  what: string,
  done: () => boolean | Promise<boolean>,
  { senders = 1, settings = config } = {},
): Promise<Line[]> {
  const log: Line[] = [];
  const running = Array.from(
    { length: senders },
    () =>
      new MailSender(
        sql,
        settings,
        (level, message, error) => log.push({ level, message, error }),
        10,
      ),
  );
  for (const sender of running) sender.start();
  try {
    await until(what, done);
  } finally {
    await Promise.all(running.map((sender) => sender.stop()));
  }
  return log;
}

const messageIds = (): string[] =>
  sink.delivered.map(({ text }) => /^Message-ID: (\S+)/im.exec(text)?.[1] ?? '');

async function stateOf(key: string) {
  const [row] = await sql<
    { sent: boolean; failed: boolean; tries: number; failure: string | null; plain: string }[]
  >`
    SELECT sent_at IS NOT NULL AS sent, failed_at IS NOT NULL AS failed, tries, failure, plain FROM mails WHERE key = ${key}`;
  return row;
}

beforeEach(async () => {
  sink.answers.clear();
  sink.delivered.length = 0;
  sink.commands.length = 0;
  await sql`UPDATE mails SET failed_at = now() WHERE sent_at IS NULL AND failed_at IS NULL`;
});

test('a mail is there if its transaction is, once for its key', async () => {
  const kept = mail();
  await assert.rejects(
    sql.begin(async (transaction) => {
      await enqueueMail(transaction, mail());
      throw new Error('rolled back');
    }),
    /rolled back/,
  );
  await sql.begin((transaction) => enqueueMail(transaction, kept));
  await enqueueMail(sql, {
    ...kept,
    subject: 'Once more',
    attachments: [{ name: 'a', type: 'text/plain', content: Buffer.from('a') }],
  });
  assert.equal((await outboxState(sql)).waiting, 1);
  await sending('it was sent', () => sink.delivered.length > 0);
  assert.equal(sink.delivered.length, 1);
  assert.match(sink.delivered[0]?.text ?? '', /^Subject: A receipt$/m);
});

test('several servers send each mail once, and keep nothing of it', async () => {
  const keys = Array.from({ length: 20 }, key);
  for (const one of keys) await enqueueMail(sql, mail({ key: one }));
  await sending('all were sent', async () => (await outboxState(sql)).waiting === 0, {
    senders: 3,
  });
  assert.equal(sink.delivered.length, 20);
  assert.equal(new Set(messageIds()).size, 20);
  for (const one of keys) {
    const state = await stateOf(one);
    assert.deepEqual([state?.sent, state?.plain], [true, '']);
  }
});

test('text, HTML, Bangla and attachments arrive whole', async () => {
  const letter = {
    subject: 'আপনার রসিদ',
    paragraphs: ['টাকা জমা হয়েছে। <script>'],
    facts: [['Amount', '৳500 & more']] as const,
    link: { label: 'রসিদ দেখুন', url: 'https://example.com/?a=1&b=2' },
  };
  const content = Buffer.from([0, 1, 2, 250, 251, 10, 46, 10]);
  await enqueueMail(sql, {
    ...mail({ language: 'bn' }),
    ...compose('bn', letter, true),
    to: 'a@example.com\r\nBcc: evil@example.com',
    attachments: [{ name: 'রসিদ.pdf', type: 'application/pdf', content }],
  });
  await sending(
    'it was refused or sent',
    async () => (await outboxState(sql)).waiting === 0 || sink.commands.length > 0,
  );
  assert.ok(sink.delivered.every(({ to }) => !to.includes('evil@example.com')));

  await enqueueMail(sql, {
    ...mail({ language: 'bn' }),
    ...compose('bn', letter, true),
    attachments: [{ name: 'রসিদ.pdf', type: 'application/pdf', content }],
  });
  await sending('it was sent', () =>
    sink.delivered.some(({ to }) => to[0] === 'rahima@example.com'),
  );
  const { text, from } = sink.delivered.at(-1) ?? { text: '', from: '' };
  assert.equal(from, 'akai@example.com');
  const parts = [
    ...text.matchAll(
      /Content-Transfer-Encoding: base64\r\n(?:[\w-]+: .*(?:\r\n\s.*)*\r\n)*\r\n([\w+/=\r\n]+)/g,
    ),
  ].map(([, body = '']) => Buffer.from(body, 'base64'));
  const all = parts.map((part) => part.toString('utf8')).join('\n');
  assert.ok(
    parts.some((part) => part.equals(content)),
    'the attachment',
  );
  assert.ok(all.includes('স্যান্ডবক্স') && all.includes('টাকা জমা হয়েছে। <script>'), 'the text');
  assert.ok(
    all.includes('টাকা জমা হয়েছে। &lt;script&gt;') && all.includes('৳500 &amp; more'),
    'the HTML',
  );
  assert.match(text, /^Subject: =\?UTF-8\?/m);
  assert.match(text, /^Content-Language: bn\r$/im);
});

test('what fails for now is tried again as the same mail; a server that died is stood in for', async () => {
  const again = mail();
  await enqueueMail(sql, again);
  sink.answers.set('end', '451 come back later');
  const log = await sending(
    'a try failed',
    async () => (await stateOf(again.key))?.failure !== null,
  );
  assert.deepEqual(
    log.map(({ level }) => level),
    ['warn'],
  );
  assert.doesNotMatch(
    JSON.stringify(log.map(({ message, error }) => [message, String(error)])),
    /secret-of-the-mail|rahima/,
  );
  // It is not due before a minute has passed.
  assert.deepEqual(await claimMails(sql), []);
  sink.answers.set('end', null);
  await sql`UPDATE mails SET next_at = now() WHERE key = ${again.key}`;
  await sending(
    'a second try failed',
    async () =>
      (await stateOf(again.key))?.tries === 2 &&
      !/451/.test((await stateOf(again.key))?.failure ?? ''),
  );
  sink.answers.clear();
  await sql`UPDATE mails SET next_at = now() WHERE key = ${again.key}`;
  const [claimed] = await claimMails(sql);
  assert.equal(claimed?.tries, 3);
  assert.deepEqual(await claimMails(sql), []);
  await sql`UPDATE mails SET next_at = now() WHERE key = ${again.key}`;
  await sending('it was sent', () => sink.delivered.length > 0);
  assert.deepEqual(messageIds(), [`<${claimed?.id}@example.com>`]);
});

test('a refused recipient, and a day without success, are given up and said', async () => {
  const refused = mail();
  await enqueueMail(sql, refused);
  sink.answers.set('RCPT', '550 no such user');
  const said = await sending(
    'it was given up',
    async () => (await stateOf(refused.key))?.failed === true,
  );
  assert.deepEqual(
    said.map(({ level }) => level),
    ['error'],
  );
  const old = mail();
  await enqueueMail(sql, old);
  await sql`UPDATE mails SET created_at = now() - interval '1 day' WHERE key = ${old.key}`;
  sink.answers.set('RCPT', '451 later');
  const log = await sending(
    'it was given up',
    async () => (await stateOf(old.key))?.failed === true,
  );
  assert.deepEqual(
    log.map(({ level }) => level),
    ['error'],
  );
  assert.ok((await outboxState(sql)).givenUp >= 2);
  assert.equal(sink.delivered.length, 0);
});

test('nothing is sent in clear text to another machine', async () => {
  const secret = mail();
  await enqueueMail(sql, secret);
  // The same machine by a name that is not known to be.
  const settings = configFor(`smtp://127.1:${sink.port}`);
  await sending('a try failed', async () => Boolean((await stateOf(secret.key))?.failure), {
    settings,
  });
  assert.deepEqual(
    sink.commands.filter((line) => /^(MAIL|RCPT|DATA|AUTH)/.test(line)),
    [],
  );
});

test('doctor says in live mode that mail goes nowhere, and a wrong SMTP_URL is refused unseen', async () => {
  const env = { DATA_DIR: await temporaryDataDir(), MODE: 'live', PORT: '0', OPENAI_API_KEY: 'x' };
  const { stdout } = await runAkai(['doctor', '--json'], env);
  const { checks }: { checks: { name: string; state: string; advice?: string }[] } =
    JSON.parse(stdout);
  const check = checks.find(({ name }) => name === 'Mail');
  assert.equal(check?.state, 'warning');
  assert.match(check?.advice ?? '', /SMTP_URL/);
  const wrong = await runAkai(['doctor'], {
    ...env,
    SMTP_URL: 'http://user:hunter2@mail.example.com',
  });
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /SMTP_URL must be/);
  assert.doesNotMatch(wrong.stderr + wrong.stdout, /hunter2/);
});
