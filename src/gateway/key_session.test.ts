/** A service account gets tokens from a local stand-in of Google's endpoint, which believes nothing that it cannot verify. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { addressOf, SessionRefused, serviceAccountSession } from './key_session.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const account = JSON.stringify({
  type: 'service_account',
  client_email: 'akai@project.iam.gserviceaccount.com',
  private_key_id: 'k1',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  // Whoever brings a key does not choose whom we ask.
  token_uri: 'http://127.0.0.1:1/',
});

let asked = 0;
/** What the endpoint answers next. */
let answering = { status: 200, expiresIn: 3600 };

function decoded(part: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(part ?? '', 'base64url').toString());
}

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const form = new URLSearchParams(Buffer.concat(chunks).toString());
  asked += 1;
  const [header, claims, signature = ''] = (form.get('assertion') ?? '').split('.');
  const isSigned = verify(
    'sha256',
    Buffer.from(`${header}.${claims}`),
    publicKey,
    Buffer.from(signature, 'base64url'),
  );
  const { alg, kid } = decoded(header);
  const { iss, aud, scope, iat, exp } = decoded(claims);
  const isTrue =
    isSigned &&
    form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
    alg === 'RS256' &&
    kid === 'k1' &&
    iss === 'akai@project.iam.gserviceaccount.com' &&
    aud === tokenUrl &&
    String(scope).endsWith('/auth/cloud-platform') &&
    Number(exp) - Number(iat) === 3600 &&
    Math.abs(Number(iat) * 1000 - Date.now()) < 60_000;
  const status = isTrue ? answering.status : 400;
  response.writeHead(status, { 'content-type': 'application/json' });
  const { expiresIn: expires_in } = answering;
  response.end(
    status === 200
      ? JSON.stringify({ access_token: `token ${asked}`, expires_in, token_type: 'Bearer' })
      : JSON.stringify({ error: 'invalid_grant', error_description: 'Invalid JWT Signature.' }),
  );
}).listen(0, '127.0.0.1');
await once(server, 'listening');
// as: a TCP server's address is no string
const tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
after(() => {
  server.closeAllConnections();
  server.close();
});

function sessionOf(key: string) {
  const session = serviceAccountSession(key, tokenUrl);
  assert.ok(session);
  return session;
}

test('a key that is no JSON is sent as it is', () => {
  assert.equal(serviceAccountSession('ya29.token', tokenUrl), null);
});

test('those who wait for a token together ask for one', async () => {
  const session = sessionOf(account);
  assert.equal(session.current(), null);
  const before = asked;
  await Promise.all([session.renew(), session.renew(), session.renew()]);
  assert.equal(asked, before + 1);
  assert.equal(session.current(), `token ${asked}`);
  session.forget();
  assert.equal(session.current(), null);
  await session.renew();
  assert.equal(session.current(), `token ${before + 2}`);
});

test('a token is renewed five minutes before its end, not as soon as it is there', async (t) => {
  const session = sessionOf(account);
  answering = { status: 200, expiresIn: 3600 };
  let late = 0;
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + late);
  await session.renew();
  late = (3600 - 320) * 1000;
  assert.notEqual(session.current(), null);
  late = (3600 - 290) * 1000;
  assert.equal(session.current(), null);
});

test('what is refused says why, and the next time is tried anew', async () => {
  const session = sessionOf(account);
  answering = { status: 400, expiresIn: 3600 };
  await assert.rejects(session.renew(), (error) => {
    assert.ok(error instanceof SessionRefused);
    assert.match(error.message, /invalid_grant: Invalid JWT Signature/);
    return true;
  });
  answering = { status: 503, expiresIn: 3600 };
  await assert.rejects(session.renew(), (error) => !(error instanceof SessionRefused));
  answering = { status: 200, expiresIn: 3600 };
  await session.renew();
  assert.notEqual(session.current(), null);
});

test('a key that is no service account is refused without asking', async () => {
  const before = asked;
  for (const key of ['{', '{}', '{"client_email":"a","private_key":"b"}'])
    await assert.rejects(sessionOf(key).renew(), SessionRefused);
  assert.equal(asked, before);
});

test('a key that takes long to sign, or signs otherwise, is refused without asking', async () => {
  const before = asked;
  const keys: readonly KeyObject[] = [
    generateKeyPairSync('rsa', { modulusLength: 4224 }).privateKey,
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    generateKeyPairSync('ed25519').privateKey,
  ];
  for (const key of keys) {
    const private_key = key.export({ type: 'pkcs8', format: 'pem' });
    const session = sessionOf(JSON.stringify({ ...JSON.parse(account), private_key }));
    await assert.rejects(session.renew(), SessionRefused);
  }
  assert.equal(asked, before);
});

test('a service account asks in its own project, wherever the operator asks', () => {
  const own = JSON.stringify({ project_id: 'of-salma' });
  const unknown =
    'https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}';
  const known =
    'https://europe-west4-aiplatform.googleapis.com/v1/projects/ours/locations/europe-west4';
  assert.equal(
    addressOf(unknown, own),
    'https://aiplatform.googleapis.com/v1/projects/of-salma/locations/global',
  );
  assert.equal(addressOf(known, own), known.replace('ours', 'of-salma'));
  for (const key of ['token', '{}', '{"project_id":5}']) assert.equal(addressOf(known, key), known);
});
