/** Vouchers through a real server: who may make them, who may redeem them, and how often one may guess. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import { member, newVisitor, refused, Visitor, visitorPassword } from '../../test/site_visitor.ts';

const installation = await startInstallation();
const { origin, akai } = installation;
after(() => installation.remove());

async function newAdmin(): Promise<Visitor> {
  const email = 'boss@example.com';
  await akai('user', 'create', '--email', email, '--password', visitorPassword, '--admin');
  const admin = new Visitor(origin);
  const { status } = await admin.post('/api/auth/sign-in', { email, password: visitorPassword });
  assert.equal(status, 200);
  return admin;
}
const admin = await newAdmin();

test('an administrator makes vouchers, somebody redeems one, and the batch tells', async () => {
  const visitor = await newVisitor(origin);
  refused(await visitor.post('/api/admin/vouchers', { usd: 5 }), 403, 'admin_only');
  refused(await admin.post('/api/admin/vouchers', { usd: 0 }), 400, 'invalid_request', 'usd');
  const made = await admin.post('/api/admin/vouchers', { usd: '2.50', count: 2, sheet: true });
  assert.equal(made.status, 201);
  const id = String(member(made.body, 'batch', 'id'));
  const first = String(member(made.body, 'codes', '0'));
  const second = String(member(made.body, 'codes', '1'));
  assert.ok(String(made.body.sheet).includes(first));
  refused(
    await new Visitor(origin).post('/api/vouchers/redeem', { code: first }),
    401,
    'missing_session',
  );
  const redeemed = await visitor.post('/api/vouchers/redeem', { code: first });
  assert.equal(redeemed.status, 201);
  assert.deepEqual([redeemed.body.amount, redeemed.body.balance], [2.5, 2.5]);
  refused(
    await visitor.post('/api/vouchers/redeem', { code: first }),
    409,
    'voucher_refused',
    'code',
  );
  const wallet = await visitor.get('/api/wallet');
  assert.equal(member(wallet.body, 'transactions', '0', 'type'), 'BONUS');
  assert.equal((await admin.post(`/api/admin/vouchers/${id}/disable`, { number: 2 })).status, 204);
  refused(
    await visitor.post('/api/vouchers/redeem', { code: second }),
    409,
    'voucher_refused',
    'code',
  );
  const { body } = await admin.get(`/api/admin/vouchers/${id}`);
  assert.deepEqual(
    [member(body, 'batch', 'redeemed'), member(body, 'batch', 'credited')],
    [1, 2.5],
  );
  assert.equal(typeof member(body, 'codes', '1', 'disabledAt'), 'string');
  assert.equal(member((await admin.get('/api/admin/vouchers')).body, 'batches', '0', 'id'), id);
});

test('ten wrong codes within an hour are enough', async () => {
  const visitor = await newVisitor(origin);
  const code = '2222-2222-2222-2222-2222';
  for (let tries = 0; tries < 10; tries += 1)
    assert.equal((await visitor.post('/api/vouchers/redeem', { code })).status, 404);
  const answer = await visitor.post('/api/vouchers/redeem', { code });
  refused(answer, 429, 'too_many_attempts');
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
});

test('a card is redeemed on its page, in both languages, by who says whose wallet is meant', async () => {
  const visitor = await newVisitor(origin);
  const made = await admin.post('/api/admin/vouchers', { usd: '2.50', sheet: true });
  const code = String(member(made.body, 'codes', '0'));
  assert.match(String(made.body.sheet), /Open [^ ]+\/redeem and type this code/);
  const empty = await (await fetch(`${origin}/redeem`)).text();
  for (const field of ['code', 'email', 'password'])
    assert.match(empty, new RegExp(`name="${field}"`));
  const type = async (filled: Record<string, string>, language: string) => {
    const answer = await fetch(`${origin}/redeem`, {
      method: 'POST',
      body: new URLSearchParams({
        code,
        email: visitor.email,
        password: visitorPassword,
        ...filled,
      }),
      headers: { 'accept-language': language },
    });
    assert.deepEqual(answer.headers.getSetCookie(), []);
    return { status: answer.status, text: await answer.text() };
  };
  const stranger = await type({ password: 'not the password' }, 'bn');
  assert.equal(stranger.status, 400);
  assert.match(stranger.text, /role="alert">ই-মেইল ঠিকানা অথবা পাসওয়ার্ডটি ভুল।</);
  assert.ok(!stranger.text.includes('not the password'));
  const slip = await type({ code: `${code.slice(0, -1)}0` }, 'en');
  assert.match(slip.text, /role="alert">This is no voucher code/);
  const sessions = async () => (await visitor.get('/api/auth/sessions')).body.sessions;
  const before = await sessions();
  const done = await type({ code: ` ${code.toLowerCase()} ` }, 'bn');
  assert.equal(done.status, 200);
  assert.match(done.text, /আপনার ওয়ালেটে \$2\.5 জমা হয়েছে/);
  assert.equal((await visitor.get('/api/wallet')).body.balance, 2.5);
  assert.deepEqual(await sessions(), before);
  assert.match((await type({}, 'bn')).text, /role="alert">এই অ্যাকাউন্টে এই ভাউচার/);
});
