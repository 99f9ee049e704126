/** Signing up, in and out through a real server: statuses, sessions, requests that others forge, guesses at passwords. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import { member, newVisitor, refused, Visitor, visitorPassword } from '../../test/site_visitor.ts';

const installation = await startInstallation();
const { origin } = installation;
after(() => installation.remove());

const unknownId = randomUUID();

test('sign-up answers 201 with a session, a second one with the same address 409', async () => {
  const visitor = new Visitor(origin);
  const email = `${randomUUID().slice(0, 8)}@Example.com`;
  const made = await visitor.post('/api/auth/sign-up', {
    email,
    password: visitorPassword,
    name: 'Rahima',
  });
  assert.equal(made.status, 201);
  assert.deepEqual(Object.keys(made.body), ['user']);
  const [cookie = ''] = made.headers.getSetCookie();
  assert.match(cookie, /^akai_session=[^;]+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/i);
  const session = await visitor.get('/api/auth/session');
  assert.equal(session.status, 200);
  assert.equal(member(session.body, 'user', 'email'), email.toLowerCase());
  assert.equal(member(session.body, 'user', 'name'), 'Rahima');
  assert.equal(member(session.body, 'user', 'admin'), false);
  assert.equal(session.headers.get('cache-control'), 'no-store');

  const again = await visitor.post('/api/auth/sign-up', {
    email: email.toUpperCase(),
    password: visitorPassword,
  });
  refused(again, 409, 'email_registered', 'email');
  assert.equal(again.body.error, 'Email already registered.');
});

test('what does not fit is refused with its name, and nobody makes himself an administrator', async () => {
  const visitor = new Visitor(origin);
  const email = `${randomUUID().slice(0, 8)}@example.com`;
  const path = '/api/auth/sign-up';
  const password = visitorPassword;
  refused(await visitor.post(path, { password }), 400, 'invalid_request', 'email');
  refused(await visitor.post(path, { email: 'nobody', password }), 400, 'invalid_request', 'email');
  refused(
    await visitor.post(path, { email, password: 'short' }),
    400,
    'invalid_request',
    'password',
  );
  for (const extra of ['admin', 'emailVerified', 'role', 'id', 'disabled_at'])
    refused(
      await visitor.post(path, { email, password, [extra]: true }),
      400,
      'invalid_request',
      extra,
    );
  refused(await visitor.post(path, '{"email":'), 400, 'invalid_json');
  refused(await visitor.post(path, '[]'), 400, 'invalid_request');
  refused(await visitor.post(path, { email, password, name: 'a\0b' }), 400, 'invalid_request');
  refused(
    await visitor.ask('POST', path, 'email=a', {
      'content-type': 'application/x-www-form-urlencoded',
    }),
    400,
    'invalid_request',
  );
  refused(
    await visitor.ask('POST', path, { email, password, name: 'x'.repeat(70_000) }),
    413,
    'request_too_large',
  );
  refused(await visitor.get('/api/nothing'), 404, 'not_found');
  const wrongMethod = await visitor.get(path);
  refused(wrongMethod, 404, 'not_found');
  assert.match(String(wrongMethod.body.error), /Use POST/);
});

test('a session is signed in to, listed, ended; a cookie that is no session is none', async () => {
  const visitor = await newVisitor(origin);
  const second = new Visitor(origin);
  const { email } = visitor;
  refused(
    await second.post('/api/auth/sign-in', { email, password: 'not the password' }),
    401,
    'wrong_credentials',
  );
  refused(
    await second.post('/api/auth/sign-in', { email: `no-${email}`, password: visitorPassword }),
    401,
    'wrong_credentials',
  );
  const signedIn = await second.post('/api/auth/sign-in', { email, password: visitorPassword });
  assert.equal(signedIn.status, 200);
  assert.notEqual(second.cookie, visitor.cookie);

  const { body } = await visitor.get('/api/auth/sessions');
  assert.ok(Array.isArray(body.sessions));
  assert.equal(body.sessions.length, 2);
  const other = body.sessions.find(({ current }) => !current);
  assert.equal(other.address, '127.0.0.1');

  const stranger = await newVisitor(origin);
  refused(await stranger.ask('DELETE', `/api/auth/sessions/${other.id}`), 403, 'user_mismatch');
  refused(await visitor.ask('DELETE', `/api/auth/sessions/${unknownId}`), 404, 'not_found');
  refused(await visitor.ask('DELETE', '/api/auth/sessions/x'), 404, 'not_found');
  assert.equal((await visitor.ask('DELETE', `/api/auth/sessions/${other.id}`)).status, 204);
  refused(await second.get('/api/auth/session'), 401, 'missing_session');
  assert.equal((await visitor.get('/api/auth/session')).status, 200);

  const { cookie } = visitor;
  assert.equal((await visitor.post('/api/auth/sign-out')).status, 204);
  assert.equal(visitor.cookie, '');
  visitor.cookie = cookie;
  refused(await visitor.get('/api/auth/session'), 401, 'missing_session');
  assert.equal((await visitor.post('/api/auth/sign-out')).status, 204);

  const forged = await newVisitor(origin);
  const [token = ''] = forged.cookie.split('.');
  for (const bad of [
    token,
    `${token}.AAAA`,
    `${token}x${forged.cookie.slice(token.length)}`,
    'akai_session=',
    'akai_session=%',
  ])
    refused(
      await forged.ask('GET', '/api/auth/session', undefined, { cookie: bad }),
      401,
      'missing_session',
    );
});

test('a new password ends all other sessions, and only the old one changes it', async () => {
  const visitor = await newVisitor(origin);
  const second = new Visitor(origin);
  const { email } = visitor;
  const next = 'quite another horse';
  await second.post('/api/auth/sign-in', { email, password: visitorPassword });
  const path = '/api/auth/password';
  refused(
    await visitor.post(path, { currentPassword: 'not the password', newPassword: next }),
    400,
    'invalid_request',
    'currentPassword',
  );
  refused(
    await visitor.post(path, { currentPassword: visitorPassword, newPassword: 'short' }),
    400,
    'invalid_request',
    'newPassword',
  );
  assert.equal((await second.get('/api/auth/session')).status, 200);
  const before = visitor.cookie;
  assert.equal(
    (await visitor.post(path, { currentPassword: visitorPassword, newPassword: next })).status,
    204,
  );
  assert.notEqual(visitor.cookie, before);
  assert.equal((await visitor.get('/api/auth/session')).status, 200);
  refused(await second.get('/api/auth/session'), 401, 'missing_session');
  refused(
    await visitor.ask('GET', '/api/auth/session', undefined, { cookie: before }),
    401,
    'missing_session',
  );
  refused(
    await second.post('/api/auth/sign-in', { email, password: visitorPassword }),
    401,
    'wrong_credentials',
  );
  assert.equal((await second.post('/api/auth/sign-in', { email, password: next })).status, 200);
});

test('what changes something must come from a page of the site', async () => {
  const visitor = await newVisitor(origin);
  const body = { name: 'forged' };
  for (const foreign of [
    'https://evil.example',
    'null',
    origin.replace('http:', 'https:'),
    `${origin}.evil.example`,
  ])
    refused(
      await visitor.ask('POST', '/api/keys', body, { origin: foreign }),
      403,
      'foreign_origin',
    );
  refused(await visitor.ask('POST', '/api/keys', body, { origin: null }), 403, 'foreign_origin');
  // Signing a visitor in to an attacker's account is forging, too.
  const { email } = visitor;
  const credentials = { email, password: visitorPassword };
  const elsewhere = { origin: 'https://evil.example', cookie: null };
  refused(
    await visitor.ask('POST', '/api/auth/sign-in', credentials, elsewhere),
    403,
    'foreign_origin',
  );
  assert.deepEqual((await visitor.get('/api/keys')).body.keys, []);
  // A program without a cookie has no origin.
  const program = await visitor.ask('POST', '/api/auth/sign-in', credentials, {
    origin: null,
    cookie: null,
  });
  assert.equal(program.status, 200);
});

test('guesses at a password are stopped, whoever the account is of, and others are not', async () => {
  const visitor = await newVisitor(origin);
  const { email } = visitor;
  const guesses = await Promise.all(
    Array.from({ length: 25 }, (_, time) =>
      // What a client says of its address is not believed.
      new Visitor(origin).ask(
        'POST',
        '/api/auth/sign-in',
        { email, password: 'a guess that is wrong' },
        { 'x-forwarded-for': `203.0.113.${time}`, 'x-real-ip': `203.0.113.${time}` },
      ),
    ),
  );
  const stopped = guesses.filter(({ status }) => status === 429);
  assert.equal(guesses.filter(({ status }) => status === 401).length, 10);
  assert.equal(stopped.length, 15);
  for (const answer of stopped) {
    refused(answer, 429, 'too_many_attempts');
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
  }
  const right = await new Visitor(origin).post('/api/auth/sign-in', {
    email,
    password: visitorPassword,
  });
  refused(right, 429, 'too_many_attempts');
  assert.equal((await visitor.get('/api/auth/session')).status, 200);
});
