/** Operators and payments, over HTTP and from a shell: who may, what is refused, and that both do the same. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseArgs } from 'node:util';
import { adminPaymentEndpoints } from '../src/api/admin_payments.ts';
import { paymentCommands } from '../src/commands/payments.ts';
import { voucherCommands } from '../src/commands/vouchers.ts';
import { loadConfig } from '../src/config.ts';
import { connect } from '../src/db/connection.ts';
import { runAkai, startInstallation } from './installation.ts';
import { member, newVisitor, refused, Visitor, visitorPassword } from './site_visitor.ts';

const env = { MANUAL_PAYMENTS: 'bkash:send_money:01700000000:Send Money only' };
const installation = await startInstallation({ env });
const { origin, akai } = installation;
after(() => installation.remove());

async function newAdmin(): Promise<Visitor> {
  const email = `${randomUUID().slice(0, 8)}@example.com`;
  await akai('user', 'create', '--email', email, '--password', visitorPassword, '--admin');
  const visitor = new Visitor(origin);
  const { status } = await visitor.post('/api/auth/sign-in', { email, password: visitorPassword });
  assert.equal(status, 200);
  visitor.email = email;
  return visitor;
}

const admin = await newAdmin();
const at = '/api/admin/payments';
const unknownId = randomUUID();

/** A payment by hand that waits for an admin; returns its id. */
async function claimed(visitor: Visitor, trxId: string, taka = 500): Promise<string> {
  const begun = await visitor.post('/api/topups', { method: 'manual', taka });
  assert.equal(begun.status, 201, JSON.stringify(begun.body));
  const id = String(begun.body.id);
  const claim = { wallet: 'bkash', trxId: trxId, sender: '01712345678' };
  const told = await visitor.post(`/api/topups/${id}/claim`, claim);
  assert.equal(told.body.state, 'needs_review', JSON.stringify(told.body));
  return id;
}

test('administrators only, and what does not fit is refused with its name', async () => {
  const visitor = await newVisitor(origin);
  const paths: readonly [string, string, unknown?][] = [
    ['GET', at],
    ['GET', `${at}/review`],
    ['GET', `${at}/${unknownId}`],
    ['POST', `${at}/${unknownId}/accept`, { taka: 1 }],
    ['POST', `${at}/${unknownId}/refund`, { reason: 'x' }],
    ['GET', '/api/admin/refunds'],
    ['GET', '/api/admin/receipts'],
    ['PATCH', '/api/admin/payment-rules', {}],
  ];
  for (const [method, path, body] of paths) {
    refused(await new Visitor(origin).ask(method, path, body), 401, 'missing_session');
    refused(await visitor.ask(method, path, body), 403, 'admin_only');
  }
  for (const act of ['check', 'accept', 'reject', 'attach', 'refund']) {
    const body = {
      accept: { taka: 1 },
      reject: { reason: 'x' },
      attach: { providerId: 'x' },
      refund: { reason: 'x' },
    };
    const sent = act === 'check' ? {} : body[act as keyof typeof body]; // as: the names of its members
    refused(await admin.post(`${at}/${unknownId}/${act}`, sent), 404, 'not_found');
  }
  refused(await admin.get(`${at}/nonsense`), 404, 'not_found');
  refused(await admin.get(`${at}?state=rich`), 400, 'invalid_request', 'state');
  refused(
    await admin.post(`${at}/${unknownId}/accept`, { taka: 'many' }),
    400,
    'invalid_request',
    'taka',
  );
  refused(
    await admin.post(`${at}/${unknownId}/reject`, { reason: ' ' }),
    400,
    'invalid_request',
    'reason',
  );
  const wrongRules = await admin.ask('PATCH', '/api/admin/payment-rules', {
    rate: { margin: '101' },
  });
  refused(wrongRules, 400, 'invalid_request', 'rate.margin');
});

test('a payment by hand is reviewed, credited, refunded by hand, with all of it in its timeline', async () => {
  const visitor = await newVisitor(origin);
  const id = await claimed(visitor, 'CK250NROQ5');
  const review = await admin.get(`${at}/review`);
  assert.equal(member(review.body, 'payments', '0', 'id'), id);
  assert.equal(member(review.body, 'payments', '0', 'claims', '0', 'trxId'), 'BKASH:CK250NROQ5');
  const accepted = await admin.post(`${at}/${id}/accept`, { taka: '500.00' });
  assert.equal(
    member(accepted.body, 'payment', 'state'),
    'credited',
    JSON.stringify(accepted.body),
  );
  const credit = Number(member(accepted.body, 'payment', 'creditUsd'));
  assert.equal((await visitor.get('/api/wallet')).body.balance, credit);
  refused(await admin.post(`${at}/${id}/accept`, { taka: 500 }), 409, 'payment_conflict');

  const back = await admin.post(`${at}/${id}/refund`, { taka: 500, reason: 'asked for' });
  assert.deepEqual([back.status, back.body.state], [201, 'needs_review']);
  assert.equal((await visitor.get('/api/wallet')).body.balance, 0);
  const note = 'sent at noon';
  const done = await akai(
    'payment',
    'settle-refund',
    '--id',
    String(back.body.id),
    '--state',
    'refunded',
    '--note',
    note,
  );
  assert.equal(done.state, 'refunded');
  const shown = await admin.get(`${at}/${id}`);
  assert.equal(member(shown.body, 'payment', 'state'), 'refunded');
  const timeline = member(shown.body, 'timeline');
  assert.ok(Array.isArray(timeline));
  assert.ok(
    timeline.some(
      (entry) => member(entry, 'actor') === admin.email && member(entry, 'kind') === 'review',
    ),
  );
  const { findings } = await akai('audit');
  assert.deepEqual(findings, []);
});

const config = loadConfig({ ...env, DATA_DIR: installation.dataDir }, []);

/** A command as `akai` runs it, in this process: there are many of them. */
async function shell(name: string, ...words: string[]): Promise<Record<string, unknown>> {
  const { json } = await run(name, [...words, '--json']);
  return JSON.parse(JSON.stringify(json));
}

/** What it prints for people. */
async function said(name: string, ...words: string[]): Promise<string> {
  return (await run(name, words)).text;
}

async function run(name: string, args: string[]) {
  const command = paymentCommands[`payment ${name}`] ?? voucherCommands[name];
  assert.ok(command);
  const options = { ...command.options, json: { type: 'boolean' } } as const;
  return command.run(parseArgs({ args, options }), config, () => {});
}

test('over HTTP a feed of rates is set on the public internet only, where money is real', async () => {
  const endpoint = adminPaymentEndpoints.find(
    ({ method, path }) => method === 'PATCH' && path.endsWith('payment-rules'),
  );
  assert.ok(endpoint?.who === 'admin');
  const live = loadConfig(
    { MODE: 'live', AKAI_SECRET: 'x'.repeat(40), PUBLIC_URL: 'https://akai.example.com' },
    [],
  );
  const set = (url: string) => {
    const site = { config: live, desk: { sql: () => assert.fail(`${url} was taken`) } };
    const visit = { json: async () => ({ rate: { feed: { url, pointer: '/rates/BDT' } } }) };
    const user = { email: 'a@example.com' };
    // as: all that the handler needs before it writes
    return endpoint.handler.respond({ site, user, visit, params: {} } as never);
  };
  for (const url of [
    'http://rates.example.com/',
    'https://127.0.0.1/',
    'https://localhost/',
    'https://[::1]/',
    'https://10.0.0.7/',
  ])
    await assert.rejects(set(url), { code: 'invalid_request', param: 'rate.feed.url' });
  await assert.rejects(set('https://rates.example.com/'), /was taken/);
});

test('the shell does the same: list, show, accept by two, reject, rules, refunds', async () => {
  const visitor = await newVisitor(origin);
  const rules = await shell(
    'rules',
    '--set',
    'limits.twoAdminsFrom=300',
    '--set',
    'rate.margin=2.5',
    '--by',
    'rahim',
  );
  assert.equal(member(rules, 'rules', 'limits', 'twoAdminsFrom'), 300);
  assert.equal(member(rules, 'rules', 'rate', 'margin'), '2.5');
  const told = await admin.get('/api/admin/payment-rules');
  assert.deepEqual(told.body, rules);
  await assert.rejects(shell('rules', '--set', 'limits.open=none'), /limits\.open/);
  await assert.rejects(shell('rules', '--set', '__proto__.x=1'), /is no change/);

  const id = await claimed(visitor, 'CK250NROQ6', 400);
  const accept = ['--id', id, '--taka', '400', '--by'];
  assert.equal((await shell('accept', ...accept, 'rahim')).approvals, 1);
  await assert.rejects(shell('accept', ...accept, 'rahim'), /another admin/);
  assert.equal((await shell('accept', ...accept, 'karim')).state, 'credited');
  const refund = await shell('refund', '--id', id, '--taka', '100', '--reason', 'asked for');
  assert.equal(refund.state, 'needs_review');
  assert.equal(member(await shell('refunds', '--open'), 'refunds', '0', 'id'), refund.id);

  const story = await said('show', '--id', id);
  assert.match(story, /^Payment \S+ of ৳400\.00 by manual, invoice \w+, is credited\.\n/);
  assert.match(story, /\nWhat happened:\n(?: {4}\S+Z {2}\S+: .+\.\n)+ {4}\S+Z {2}\S+: .+\.$/);
  assert.match(story, / rahim: approved ৳400\.00 by BKASH:CK250NROQ6\.\n/);
  assert.doesNotMatch(story, /null|undefined|NaN/);
  const short = await claimed(visitor, 'CK250NROQ8', 200);
  const meant = ['--id', short, '--taka', '150', '--trx', 'CK250NROQ8', '--by', 'karim'];
  await assert.rejects(
    shell('accept', ...meant),
    /^ApiError: ৳200\.00 were ordered, for \$[\d.]+\. For ৳150\.00 another payment in its place gives \$[\d.]+\. Nothing was done: say --yes/,
  );
  const env = { DATA_DIR: installation.dataDir };
  const no = await runAkai(['payment', 'accept', ...meant], env, { input: 'n\n' });
  assert.equal(no.code, 1);
  assert.match(no.stderr, /gives \$[\d.]+\. Is that meant\? \[y\/N\] .*Nothing was done/s);
  const corrected = await shell('accept', ...meant, '--yes');
  assert.deepEqual([corrected.state, corrected.taka, corrected.corrects], ['credited', 150, short]);

  const other = await claimed(visitor, 'CK250NROQ7', 100);
  const rejected = await shell('reject', '--id', other, '--reason', 'No such money came in.');
  assert.deepEqual([rejected.state, rejected.reason], ['failed', 'No such money came in.']);
  const found = await shell('list', '--search', 'ck250nroq6', '--email', visitor.email);
  assert.equal(member(found, 'payments', '0', 'id'), id);
  assert.equal(member(await shell('show', '--id', id), 'taka'), 400);
  for (const name of ['review', 'unmatched', 'compare']) await shell(name);
  assert.equal((await shell('check', '--id', other)).state, 'failed');
});

test('money that fits no payment is listed, given to one, or ended with a note, over HTTP and from a shell', async () => {
  const path = join(realpathSync(join(installation.dataDir, 'postgres')), '.s.PGSQL.5432');
  const owner = connect({ path }, { max: 1, name: 'test owner' });
  const receipts = (query = '') => admin.get(`/api/admin/receipts${query}`);
  for (const trxId of ['DAA0000001', 'DAA0000002'])
    await owner`
      INSERT INTO unmatched_receipts (id, method, environment, trx_id, amount, payer_shown, source)
      VALUES (gen_random_uuid(), 'bkash', 'sandbox', ${trxId}, 7500, '017******75', 'webhook')`;
  await owner.end();
  const { body } = await receipts();
  const [first, second] = ['0', '1'].map((index) => String(member(body, 'receipts', index, 'id')));
  assert.ok(first && second);
  const visitor = await newVisitor(origin);
  const begun = await visitor.post('/api/topups', { method: 'bkash', taka: 75 });
  const payment = String(begun.body.id);
  const resolve = (id: string, given: object) =>
    admin.post(`/api/admin/receipts/${id}/resolve`, given);
  refused(await resolve(first, { note: '' }), 400, 'invalid_request', 'note');
  const given = await resolve(first, { note: 'his', payment });
  assert.equal(given.status, 200, JSON.stringify(given.body));
  assert.match(String(given.body.resolution), new RegExp(payment));
  refused(await resolve(first, { note: 'again' }), 404, 'not_found');
  assert.equal((await visitor.get(`/api/topups/${payment}`)).body.state, 'needs_review');
  assert.equal((await visitor.get('/api/wallet')).body.balance, 0);
  const ended = await shell('resolve', '--id', second, '--note', 'the shop next door');
  assert.equal(ended.resolution, 'the shop next door');
  assert.deepEqual((await receipts()).body, { receipts: [] });
  assert.equal(member((await receipts('?resolved=true')).body, 'receipts', '1', 'id'), second);
  await assert.rejects(
    shell('attach', '--id', payment, '--provider-id', 'TR0011Other'),
    /does not say/,
  );
  refused(
    await admin.post(`${at}/${payment}/attach`, { providerId: 'TR0011Other' }),
    409,
    'payment_conflict',
  );
});

test('vouchers from a shell: made with a sheet to print, listed, switched off', async () => {
  const sheet = join(installation.dataDir, 'vouchers.html');
  const made = await shell('voucher create', '--usd', '3', '--count', '2', '--sheet', sheet);
  const batch = String(member(made, 'batch', 'id'));
  const code = String(member(made, 'codes', '0'));
  assert.ok(readFileSync(sheet, 'utf8').includes(code));
  assert.equal(statSync(sheet).mode & 0o77, 0);
  assert.doesNotMatch(
    JSON.stringify(await shell('voucher list', '--batch', batch)),
    new RegExp(code),
  );
  const visitor = await newVisitor(origin);
  assert.equal((await visitor.post('/api/vouchers/redeem', { code })).status, 201);
  await shell('voucher disable', '--batch', batch);
  const late = await visitor.post('/api/vouchers/redeem', {
    code: String(member(made, 'codes', '1')),
  });
  refused(late, 409, 'voucher_refused', 'code');
  assert.equal((await visitor.get('/api/wallet')).body.balance, 3);
});
