/** The site's API as another installation would have it: over https, behind a proxy, closed to newcomers, with a database that fails. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { createAccount } from '../accounts/accounts.ts';
import { takeAttempt } from '../accounts/attempts.ts';
import { neighbourhood } from '../accounts/networks.ts';
import { sessionSecret } from '../accounts/sessions.ts';
import { SignIn } from '../accounts/sign_in.ts';
import { loadConfig } from '../config.ts';
import { buildSiteApi, endpoints } from './api.ts';
import type { Site } from './endpoint.ts';

const scene = await openPaymentsScene();
after(() => scene[Symbol.asyncDispose]());
const { desk } = scene;
const publicUrl = 'https://akaicore.space';
const secret = 'a secret of at least 32 characters';
const config = loadConfig(
  { PUBLIC_URL: publicUrl, SIGN_UP: 'closed', TRUSTED_PROXIES: '1', AKAI_SECRET: secret },
  ['openai'],
);
const reported: string[] = [];
const usual: Site = {
  config,
  sql: desk.sql,
  statements: desk.sql,
  origin: () => publicUrl,
  signIn: new SignIn(desk.sql, config),
  desk,
  others: [],
  sessionSecret: sessionSecret(secret),
  report: (message, error) => void reported.push(`${message}: ${error}`),
};
const password = 'correct horse battery';

/** Asks as the proxy in front would, on behalf of a client. */
async function ask(
  method: string,
  path: string,
  {
    body,
    from = '203.0.113.9',
    site = usual,
    ...headers
  }: { body?: unknown; from?: string; site?: Site; cookie?: string; origin?: string } = {},
) {
  const forwarded = `198.51.100.66, ${from}`;
  const incoming = {
    socket: { remoteAddress: '127.0.0.1' },
    headers: { 'x-forwarded-for': forwarded },
  };
  const response = await buildSiteApi(site).request(
    path,
    {
      method,
      headers: { origin: publicUrl, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    { incoming },
  );
  const text = await response.text();
  const answer: Record<string, unknown> = text ? JSON.parse(text) : {};
  return { status: response.status, answer, cookies: response.headers.getSetCookie() };
}

async function account(admin = false): Promise<string> {
  const { email } = await createAccount(desk.sql, config, {
    email: `${randomUUID()}@example.com`,
    password,
    admin,
  });
  return email;
}

async function signedIn(admin = false): Promise<string> {
  const body = { email: await account(admin), password };
  const { cookies } = await ask('POST', '/api/auth/sign-in', { body });
  return cookies[0]?.split(';')[0] ?? '';
}

test('over https the cookie can be set and read by this host alone', async () => {
  const body = { email: await account(), password };
  const { cookies } = await ask('POST', '/api/auth/sign-in', { body });
  assert.equal(cookies.length, 1);
  assert.match(cookies[0] ?? '', /^__Host-akai_session=[^;]+;/);
  for (const attribute of ['Secure', 'HttpOnly', 'SameSite=Lax', 'Path=/'])
    assert.ok(cookies[0]?.split('; ').includes(attribute), attribute);
  assert.doesNotMatch(cookies[0] ?? '', /domain=/i);
  const cookie = cookies[0]?.split(';')[0] ?? '';
  assert.equal((await ask('GET', '/api/auth/session', { cookie })).status, 200);
  // The plain name, which a page without https could have set, is not read.
  assert.equal(
    (await ask('GET', '/api/auth/session', { cookie: cookie.replace('__Host-', '') })).status,
    401,
  );
  const plain = await ask('POST', '/api/keys', {
    cookie,
    origin: 'http://akaicore.space',
    body: { name: 'x' },
  });
  assert.equal(plain.answer.code, 'foreign_origin');
  const local = await ask('POST', '/api/keys', {
    cookie,
    origin: 'http://localhost:3000',
    body: { name: 'x' },
  });
  assert.equal(local.answer.code, 'foreign_origin');
});

test('closed to newcomers', async () => {
  const body = { email: 'new@example.com', password };
  const { status, answer } = await ask('POST', '/api/auth/sign-up', { body });
  assert.deepEqual([status, answer.code], [403, 'sign_up_closed']);
});

test('guesses are counted by the address that our proxy saw, not by what a client wrote in front', async () => {
  const guess = async (from: string) =>
    (
      await ask('POST', '/api/auth/sign-in', {
        from,
        body: { email: `${randomUUID()}@example.com`, password: 'x' },
      })
    ).status;
  // As after 47 failures, each of which costs the hashing of a password.
  const network = neighbourhood('2001:db8:1:2::');
  for (let time = 0; time < 47; time += 1)
    await takeAttempt(desk.sql, 'sign-in from', network, { most: 50, everyMs: 900_000 });
  const guesses = Array.from({ length: 6 }, (_, time) => guess(`2001:db8:1:2::${time}`));
  assert.deepEqual((await Promise.all(guesses)).sort(), [401, 401, 401, 429, 429, 429]);
  assert.equal(await guess('2001:db8:1:3::1'), 401);
});

test('what is for administrators is refused to everybody else', async () => {
  const admins = endpoints.filter(({ who }) => who === 'admin');
  assert.ok(admins.length > 0);
  const cookie = await signedIn();
  for (const { method, path } of admins) {
    const at = path.replace(/:\w+/g, randomUUID());
    const nobody = await ask(method, at);
    assert.deepEqual(
      [nobody.status, nobody.answer.code],
      [401, 'missing_session'],
      `${method} ${path}`,
    );
    const other = await ask(method, at, { cookie });
    assert.deepEqual([other.status, other.answer.code], [403, 'admin_only'], `${method} ${path}`);
  }
});

test('every endpoint that needs a session says so, and everything that changes something looks at the origin', async () => {
  const cookie = await signedIn();
  for (const { method, path, who, handler } of endpoints) {
    const at = path.replace(/:\w+/g, randomUUID());
    if (who !== 'anyone') assert.equal((await ask(method, at)).status, 401, `${method} ${path}`);
    if (method === 'GET' || handler.isRaw) continue;
    const forged = await ask(method, at, { cookie, origin: 'https://evil.example' });
    assert.equal(forged.answer.code, 'foreign_origin', `${method} ${path}`);
  }
});

test('a database that is away is a 503, never a 401; a defect is a 500 that says nothing', async () => {
  const cookie = await signedIn();
  const failing = (error: Error): Site => ({
    ...usual,
    // as: stands for a pool of which each statement fails
    sql: (() => Promise.reject(error)) as unknown as Site['sql'],
  });
  const away = failing(Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' }));
  const { status, answer } = await ask('GET', '/api/auth/session', { cookie, site: away });
  assert.deepEqual([status, answer.code], [503, 'database_unavailable']);
  const broken = await ask('GET', '/api/auth/session', {
    cookie,
    site: failing(new Error('secret detail')),
  });
  assert.deepEqual([broken.status, broken.answer.code], [500, 'internal_error']);
  assert.doesNotMatch(JSON.stringify(broken.answer), /secret detail/);
  assert.match(reported.join('\n'), /secret detail/);
});
