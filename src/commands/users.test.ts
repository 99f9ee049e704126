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

const akai = (...args: string[]) => runAkai(args, { DATA_DIR: installation.dataDir, PORT: '0' });
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
