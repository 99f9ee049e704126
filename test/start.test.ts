/** What a start refuses, in one sentence each, and what it leaves alone then. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { type Installation, runAkai, startInstallation, temporaryDataDir } from './installation.ts';
import { listen } from './listen.ts';
import { isObject } from './shape.ts';

let installation: Installation;

before(async () => {
  installation = await startInstallation();
});

after(() => installation.remove());

/** A start that must fail, and its sentence. */
async function refused(env: Record<string, string>): Promise<string> {
  const { code, stderr, stdout } = await runAkai(['serve'], { PORT: '0', ...env });
  assert.equal(code, 1, stdout + stderr);
  const lines = stderr.trim().split('\n');
  assert.equal(lines.length, 1, stderr);
  return lines[0] ?? '';
}

test('a taken port: one sentence, and no database is made', async () => {
  const other = createServer();
  const port = await listen(other);
  const dataDir = await temporaryDataDir();
  const sentence = await refused({ DATA_DIR: dataDir, PORT: String(port) });
  assert.match(sentence, new RegExp(`^Port ${port} is taken`));
  other.close();
  assert.deepEqual(readdirSync(dataDir), []);
});

test('a second server on the same data: one sentence with the first one’s pid, which goes on answering', async () => {
  const sentence = await refused({ DATA_DIR: installation.dataDir });
  assert.match(sentence, new RegExp(`\\b${installation.pid}\\b`));
  const health = await fetch(`${installation.origin}/healthz`);
  assert.equal(health.status, 200);
});

test('a sandbox with a real provider is not opened to the network, whether a key or a base URL makes it real', async () => {
  const dataDir = await temporaryDataDir();
  const reals = { OPENAI_API_KEY: 'test', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' };
  for (const [name, value] of Object.entries(reals)) {
    const env = { DATA_DIR: dataDir, HOST: '0.0.0.0', [name]: value };
    assert.match(await refused(env), /serves this machine only/);
  }
  assert.deepEqual(readdirSync(dataDir), []);
});

test('a sandbox with a base URL of a provider gives nobody a demo key', async () => {
  await using real = await startInstallation({
    env: { OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' },
  });
  assert.doesNotMatch(real.output(), /sk-or-/);
  assert.match(real.output(), /Make an account and a key:/);
  for (const command of ['user create --email', 'wallet credit --email', 'key create --email'])
    assert.ok(real.output().includes(`npm run -s akai -- ${command}`), command);
  assert.match(installation.output(), /sk-or-/);
});

test('a setting that cannot be: its name and what it takes', async () => {
  assert.match(await refused({ RATE_LIMIT_RPM: 'many' }), /^RATE_LIMIT_RPM must be a whole number/);
  assert.match(await refused({ MODE: 'production' }), /^MODE must be sandbox or live/);
  assert.match(await refused({ HOST: '203.0.113.1' }), /not an address of this machine/);
  for (const amount of ['abc', '-1', '1001', '1e3'])
    assert.match(
      await refused({ MINIMUM_BALANCE_USD: amount }),
      /^MINIMUM_BALANCE_USD must be an amount of US dollars from 0 to 1000/,
    );
  for (const url of ['nonsense', 'mysql://u:geheim@127.0.0.1/x', 'postgres://u:geheim@:port/x']) {
    const sentence = await refused({ DATABASE_URL: url });
    assert.match(sentence, /\bDATABASE_URL\b/);
    assert.ok(!sentence.includes('geheim'), sentence);
  }
});

test('every answer has an id of its own', async () => {
  const { port } = new URL(installation.origin);
  const garbage = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write('GARBAGE\r\n\r\n'));
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.once('end', () => resolve(text));
    socket.once('error', reject);
  });
  assert.match(garbage, /^HTTP\/1\.1 400 /);
  const [head = '', body = ''] = garbage.split('\r\n\r\n');
  const refusal: unknown = JSON.parse(body);
  assert.ok(isObject(refusal));
  const ids = [/x-request-id: (\S+)/.exec(head)?.[1]];
  assert.equal(refusal.request_id, ids[0]);
  for (const path of [
    '/',
    '/healthz',
    '/docs',
    '/docs/errors',
    '/nothing',
    '/v1/models',
    '/v1/x',
  ]) {
    const answer = await fetch(installation.origin + path, { redirect: 'manual' });
    const text = await answer.text();
    const id = answer.headers.get('x-request-id');
    if (text.startsWith('{"error"')) assert.equal(JSON.parse(text).request_id, id);
    ids.push(id ?? path);
  }
  for (const id of ids) assert.match(String(id), /^req_[0-9a-f]{32}$/);
  assert.equal(new Set(ids).size, 8);
});

test('a key whose setting asks for it gets errors as objects, a header overrides it', async () => {
  const { email, baseUrl } = installation;
  const options = ['--email', email, '--name', 'objects', '--error-format', 'object'];
  const { key } = await installation.akai<{ key: string }>('key', 'create', ...options);
  const ask = async (headers: Record<string, string>): Promise<unknown> => {
    const response = await fetch(`${baseUrl}/models/none`, {
      headers: { authorization: `Bearer ${key}`, ...headers },
    });
    assert.equal(response.status, 404);
    const body: unknown = await response.json();
    assert.ok(isObject(body));
    return body.error;
  };
  assert.deepEqual(await ask({}), {
    message: 'Model not found: none',
    type: 'invalid_request_error',
    param: null,
    code: 'model_not_found',
  });
  assert.equal(await ask({ 'x-error-format': 'text' }), 'Model not found: none');
});
