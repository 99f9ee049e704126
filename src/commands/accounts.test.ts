import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { type Installation, runAkai, startInstallation } from '../../test/installation.ts';

let installation: Installation;

before(async () => {
  installation = await startInstallation();
});

after(async () => {
  await installation?.remove();
});

async function akai(...args: string[]) {
  const result = await runAkai(args, { DATA_DIR: installation.dataDir, PORT: '0' });
  const json: Record<string, unknown> = args.includes('--json') ? JSON.parse(result.stdout) : {};
  return { ...result, json };
}

const password = 'correct horse battery';

test('accounts are listed with their balances; a password may come from the standard input', async () => {
  const email = 'nodi@example.com';
  const made = await runAkai(
    ['user', 'create', '--email', email, '--password', '-'],
    { DATA_DIR: installation.dataDir, PORT: '0' },
    { input: `${password}\n` },
  );
  assert.equal(made.code, 0, made.stderr);
  const signedIn = await fetch(`${installation.origin}/api/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: installation.origin },
    body: JSON.stringify({ email, password }),
  });
  assert.equal(signedIn.status, 200);
  await akai('wallet', 'credit', '--email', email, '--usd', '1.25');
  await akai('key', 'create', '--email', email, '--name', 'first');
  assert.match(
    (await akai('user', 'list', '--search', 'NODI')).stdout,
    /^\S+ {2}\S+ {2}nodi@example\.com {2}\$1\.25 {2}1 key\n$/,
  );
  assert.match((await akai('user', 'list')).stdout, /nodi@example\.com[\s\S]*\n./);
  assert.equal(
    (await akai('user', 'list', '--search', 'nobody@')).stdout,
    'There is no such account.\n',
  );
  assert.equal((await akai('user', 'list', '--limit', '0')).code, 1);
});

test('the help of a noun lists its commands with their options, and no others', async () => {
  for (const args of [
    ['key', '--help'],
    ['help', 'key'],
    ['key', '-h'],
  ]) {
    const { code, stdout } = await runAkai(args, { DATA_DIR: '/nowhere/at/all' });
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}akai key create --email ADDRESS .*\n {6}Make an API key/);
    assert.match(stdout, /\n {2}akai key revoke --id ID\n {6}Revoke/);
    assert.doesNotMatch(stdout, /akai (?:wallet|provider-key|help)/);
  }
  const audit = await runAkai(['audit', '--help'], { DATA_DIR: '/nowhere/at/all' });
  assert.match(audit.stdout, /akai audit \[--history\]\n/);
});

test('a mistaken credit is taken back once, never below zero, and its owner reads why', async () => {
  const who = ['--email', 'slip@example.com'];
  await akai('user', 'create', ...who, '--password', password);
  await akai('wallet', 'credit', ...who, '--usd', '50', '--request-key', 'rahim 1');
  const credited = await akai(
    'wallet',
    'credit',
    ...who,
    '--usd',
    '50',
    '--request-key',
    'rahim 1',
  );
  assert.match(
    credited.stdout,
    /^slip@example\.com was credited \$50 before, under this request key; the balance is \$50\.\n$/,
  );
  const slip = ['wallet', 'debit', ...who, '--usd', '45', '--note', 'Meant as $5', '--json'];
  assert.equal(
    (await akai('wallet', 'debit', ...who, '--usd', '5')).stderr,
    '--note is missing.\n',
  );
  const wrong = await akai(...slip, '--request-key', 'rahim 1');
  assert.deepEqual([wrong.code, wrong.json.code], [1, 'idempotency_key_reused']);
  const taken = await akai(...slip, '--request-key', 'slip 1');
  assert.deepEqual(taken.json, { balance: 5, again: false });
  assert.deepEqual((await akai(...slip, '--request-key', 'slip 1')).json, {
    balance: 5,
    again: true,
  });
  const more = await akai(...slip);
  assert.deepEqual([more.code, more.json.code], [1, 'insufficient_credits']);
  assert.match(more.stderr, /^\$5 of the balance of \$5 can be taken\.\n$/);
  const shown = await akai('wallet', 'show', ...who);
  assert.match(
    shown.stdout,
    /^Balance of slip@example\.com: \$5\n.* -45 {2}ADJUSTMENT {2}Meant as \$5\n/,
  );
  const audited = await akai('audit', '--json');
  assert.deepEqual([audited.code, audited.json.findings], [0, []], audited.stdout);
});

test('name, addresses, expiry and errors of a key are changed, and the rest stays', async () => {
  const bounds = ['--allow-ip', '203.0.113.7', '--expires', '2031-06-30'];
  const made = await akai(
    'key',
    'create',
    '--email',
    installation.email,
    '--name',
    'first',
    ...bounds,
    '--json',
  );
  const { id } = made.json;
  const set = ['key', 'set', '--id', String(id)];
  const opened = await akai(
    ...set,
    '--name',
    'other',
    '--allow-ip',
    'any',
    '--expires',
    'never',
    '--json',
  );
  assert.deepEqual(opened.json, {
    id,
    name: 'other',
    allowedNetworks: [],
    expiresAt: null,
    errorFormat: 'text',
  });
  const bound = await akai(...set, '--allow-ip', '203.0.113.0/24', '--expires', '2032-01-01');
  assert.match(
    bound.stdout,
    /^Key "other" \(…\w{4}\) is active\. It expires at 2032-01-01T00:00:00\.000Z\. It works from 203\.0\.113\.0\/24 only\. Its errors are text\.\n$/,
  );
  const listed = await akai('key', 'list', '--email', installation.email);
  assert.match(
    listed.stdout,
    / other {2}\(no limits, \$0 used\) {2}It expires at 2032-01-01T00:00:00\.000Z\. {2}It works from 203/,
  );
  const kept = await akai(...set, '--error-format', 'object', '--json');
  assert.deepEqual(kept.json, {
    id,
    name: 'other',
    allowedNetworks: ['203.0.113.0/24'],
    expiresAt: '2032-01-01T00:00:00.000Z',
    errorFormat: 'object',
  });
  assert.equal(
    (await akai('key', 'set', '--id', String(id))).stderr,
    'Say what: --name, --allow-ip, --expires or --error-format.\n',
  );
});
