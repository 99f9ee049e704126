/** Links in mails through a real server: an address is proven and a password set anew, once, in time, by whoever has the mail. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openBooks } from '../../test/books.ts';
import { startInstallation } from '../../test/installation.ts';
import { until } from '../../test/scratch_data.ts';
import {
  type Answer,
  member,
  newVisitor,
  refused,
  Visitor,
  visitorPassword,
} from '../../test/site_visitor.ts';

const installation = await startInstallation();
const { origin } = installation;
const books = await openBooks(installation);
after(async () => {
  await books[Symbol.asyncDispose]();
  await installation.remove();
});

/** The newest mail to somebody, as the page of the sandbox shows it, and the link in it. */
async function latestMail(email: string): Promise<{ text: string; link: URL }> {
  const list = await new Visitor(origin).get('/sandbox/mail');
  const entries = String(list.body.text).split('<li>').slice(1);
  const id = /\/sandbox\/mail\/([0-9a-f-]{36})/.exec(
    entries.find((entry) => entry.includes(email)) ?? '',
  )?.[1];
  assert.ok(id, `there is no mail to ${email}`);
  const text = String((await new Visitor(origin).get(`/sandbox/mail/${id}`)).body.text);
  const link = /href="(http[^"]+token=[^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
  return { text, link: new URL(link ?? origin) };
}

async function tokenFor(email: string): Promise<string> {
  return (await latestMail(email)).link.searchParams.get('token') ?? '';
}

/** Presses the button of a page. */
function press(path: string, form: Record<string, string>): Promise<Answer> {
  return new Visitor(origin).ask('POST', path, String(new URLSearchParams(form)), {
    'content-type': 'application/x-www-form-urlencoded',
    origin: 'null',
  });
}

test('an address is proven by the link of the mail, once, by a press of the button', async () => {
  const visitor = await newVisitor(origin);
  const { link } = await latestMail(visitor.email);
  assert.equal(link.pathname, '/account/confirm');
  const isVerified = async () =>
    member((await visitor.get('/api/auth/session')).body, 'user', 'emailVerified');
  // Programs that look through mail open links.
  const page = await visitor.get(link.pathname + link.search);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-security-policy') ?? '', /form-action 'self'/);
  assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
  assert.equal(await isVerified(), false);
  const token = link.searchParams.get('token') ?? '';
  assert.equal((await press('/account/confirm', { token: `${token}x` })).status, 400);
  assert.equal((await press('/account/confirm', { token })).status, 200);
  assert.equal(await isVerified(), true);
  assert.equal((await press('/account/confirm', { token })).status, 400);
  refused(await visitor.post('/api/auth/email/confirm', { token }), 400, 'invalid_link');
  const kept = await books.sql<
    { text: string }[]
  >`SELECT verifications::text AS text FROM verifications`;
  assert.ok(
    kept.every(({ text }) => !text.includes(token)),
    'a token is kept as its hash only',
  );

  assert.equal((await visitor.post('/api/auth/email', undefined)).status, 202);
  assert.equal(
    (await visitor.post('/api/auth/email/confirm', { token: await tokenFor(visitor.email) }))
      .status,
    204,
  );
});

test('a forgotten password is set anew by the link of the mail: once, in time, and all sessions end', async () => {
  const visitor = await newVisitor(origin);
  const { email } = visitor;
  const ask = (address: string) =>
    new Visitor(origin).post('/api/auth/password/forgotten', { email: address });
  const known = await ask(email.toUpperCase());
  const unknown = await ask(`nobody-${email}`);
  assert.deepEqual([known.status, known.body], [202, {}]);
  assert.deepEqual([unknown.status, unknown.body], [202, {}]);
  const token = await tokenFor(email);
  const next = 'quite another horse';
  const reset = (newPassword: string, given = token) =>
    new Visitor(origin).post('/api/auth/password/reset', { token: given, newPassword });
  refused(await reset('short'), 400, 'invalid_request', 'newPassword');
  refused(await reset(next, 'x'), 400, 'invalid_link');
  const answers = await Promise.all([reset(next), reset(next), reset(next)]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 400, 400]);
  refused(await visitor.get('/api/auth/session'), 401, 'missing_session');
  refused(
    await visitor.post('/api/auth/sign-in', { email, password: visitorPassword }),
    401,
    'wrong_credentials',
  );
  assert.equal((await visitor.post('/api/auth/sign-in', { email, password: next })).status, 200);
  assert.match((await latestMail(email)).text, /password was changed/);
  assert.equal(
    member((await visitor.get('/api/auth/session')).body, 'user', 'emailVerified'),
    true,
  );

  await ask(email);
  const late = await tokenFor(email);
  await books.sql`UPDATE verifications SET expires_at = now() - interval '1 second'`;
  refused(await reset(next, late), 400, 'invalid_link');

  await ask(email);
  const page = await latestMail(email);
  const form = await visitor.get(page.link.pathname + page.link.search);
  assert.match(String(form.body.text), /type="password"/);
  const good = page.link.searchParams.get('token') ?? '';
  assert.equal((await press('/account/password', { token: good, password: 'short' })).status, 400);
  assert.equal(
    (await press('/account/password', { token: good, password: visitorPassword })).status,
    200,
  );
  assert.equal(
    (await visitor.post('/api/auth/sign-in', { email, password: visitorPassword })).status,
    200,
  );
});

test('nobody is flooded with mail', async () => {
  const visitor = await newVisitor(origin);
  const { email } = visitor;
  for (let time = 0; time < 8; time += 1)
    assert.equal((await visitor.post('/api/auth/password/forgotten', { email })).status, 202);
  const [mails] = await books.sql<{ count: number }[]>`
    SELECT count(*) FROM mails WHERE recipient = ${email} AND key LIKE 'reset %'`;
  assert.equal(mails?.count, 5);
});

test('an account that is switched off is signed in to by nobody, and has no sessions', async () => {
  const visitor = await newVisitor(origin);
  const { email } = visitor;
  const { key } = (await visitor.post('/api/keys', { name: 'bot' })).body;
  const models = async () =>
    (await fetch(`${origin}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status;
  assert.equal(await models(), 200);
  await installation.akai('user', 'set', '--email', email, '--disabled', 'yes');
  await until('its key is refused', async () => (await models()) === 401);
  refused(await visitor.get('/api/auth/session'), 401, 'missing_session');
  refused(
    await visitor.post('/api/auth/sign-in', { email, password: visitorPassword }),
    401,
    'wrong_credentials',
  );
  await installation.akai('user', 'set', '--email', email, '--disabled', 'no');
  await until('its key works', async () => (await models()) === 200);
  refused(await visitor.get('/api/auth/session'), 401, 'missing_session');
  const again = await visitor.post('/api/auth/sign-in', { email, password: visitorPassword });
  assert.equal(again.status, 200);
  await books.sql`UPDATE sessions SET updated_at = now() - interval '8 days'`;
  refused(await visitor.get('/api/auth/session'), 401, 'missing_session');
});

test('the outbox is shown to this machine only', async () => {
  for (const path of ['/sandbox/mail', '/sandbox/mail/0197b3f2-c4d1-7e6f-8a90-b1c2d3e4f506']) {
    assert.equal(
      (await new Visitor(origin).ask('GET', path, undefined, { 'x-forwarded-for': '203.0.113.7' }))
        .status,
      404,
    );
  }
  assert.equal((await new Visitor(origin).get('/sandbox/mail')).status, 200);
  assert.equal((await new Visitor(origin).get('/sandbox/mail/x')).status, 404);
});

test('the language of an account is that of its mails, and is changed', async () => {
  const visitor = await newVisitor(origin);
  refused(
    await visitor.ask('PATCH', '/api/account', { language: 'fr' }),
    400,
    'invalid_request',
    'language',
  );
  refused(
    await visitor.ask('PATCH', '/api/account', { admin: true }),
    400,
    'invalid_request',
    'admin',
  );
  const { body } = await visitor.ask('PATCH', '/api/account', { language: 'bn' });
  assert.equal(member(body, 'user', 'language'), 'bn');
  assert.equal(member((await visitor.get('/api/auth/session')).body, 'user', 'language'), 'bn');
  await visitor.post('/api/auth/password/forgotten', { email: visitor.email });
  assert.match((await latestMail(visitor.email)).text, /নতুন পাসওয়ার্ড দিন/);
});
