import { strict as assert } from 'node:assert';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { after, afterEach, beforeEach, test } from 'node:test';
import { act, payAt } from '../../test/bkash_scene.ts';
import { listen } from '../../test/listen.ts';
import { until } from '../../test/scratch_data.ts';
import { type SandboxBkash, startSandboxBkash } from './bkash.ts';

type Body = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: number;
  readonly body: Body;
}

let standIn: SandboxBkash;
let token = '';
const receivers: Server[] = [];

beforeEach(async () => {
  standIn = await startSandboxBkash();
  token = String((await grant()).body.id_token);
});

afterEach(() => standIn.close());

after(() => {
  for (const receiver of receivers) {
    receiver.closeAllConnections();
    receiver.close();
  }
});

async function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  // as: the answers of these paths are objects
  return { status: response.status, body: (await response.json()) as Body };
}

const token1 = () => `${standIn.baseUrl('v1')}/tokenized/checkout/token`;
function grant(changes: Readonly<Record<string, string>> = {}, refreshToken?: unknown) {
  const { username, password, appKey, appSecret } = standIn.credentials;
  return post(
    `${token1()}/${refreshToken === undefined ? 'grant' : 'refresh'}`,
    { app_key: appKey, app_secret: appSecret, refresh_token: refreshToken, ...changes },
    { username, password, ...changes },
  );
}

const own = () => ({ Authorization: token, 'X-App-Key': standIn.credentials.appKey });
const v1 = (path: string, body: unknown, headers = {}, signal?: AbortSignal): Promise<Answer> =>
  post(
    `${standIn.baseUrl('v1')}/tokenized/checkout${path}`,
    body,
    { ...own(), ...headers },
    signal,
  );
const v2 = (path: string, body: unknown): Promise<Answer> =>
  post(standIn.baseUrl('v2') + path, body, own());

const wish = {
  mode: '0011',
  payerReference: 'user_8f21',
  callbackURL: 'https://shop.example/cb?p=1',
  amount: '500.00',
  currency: 'BDT',
  intent: 'sale',
  merchantInvoiceNumber: 'TOP01J8ZK3',
};
const created = async (changes: Body = {}): Promise<{ id: string; page: string; body: Body }> => {
  const { status, body } = await v1('/create', { ...wish, ...changes });
  assert.equal(status, 200);
  return { id: String(body.paymentID), page: String(body.bkashURL), body };
};
const taken = async (changes: Body = {}): Promise<{ id: string; trxId: string }> => {
  const { id, page } = await created(changes);
  await payAt(page);
  const { body } = await v1('/execute', { paymentID: id });
  assert.equal(body.statusCode, '0000');
  return { id, trxId: String(body.trxID) };
};

test('nothing is said to who has no token, another app key, or no JSON', async () => {
  for (const headers of [
    { Authorization: '' },
    { Authorization: 'other' },
    { 'X-App-Key': 'other' },
  ]) {
    const { status, body } = await v1('/create', wish, headers);
    assert.deepEqual([status, body], [401, { message: 'Unauthorized' }]);
  }
  assert.equal((await v1('/create', wish, { Authorization: `Bearer ${token}` })).status, 200);
  for (const answer of [
    await v1('/create', wish, { Accept: 'text/html' }),
    await v1('/create', wish, { 'Content-Type': 'text/plain' }),
    await v1('/create', '{"mode":'),
    await v1('/create', []),
    await v1('/create', { ...wish, amount: 500 }),
  ])
    assert.deepEqual([answer.status, answer.body], [400, { message: 'Invalid request body' }]);
});

test('two tokens an hour, then none for an hour; each holds for an hour', async () => {
  assert.equal((await grant()).status, 200);
  assert.equal((await grant()).status, 403);
  assert.equal((await grant()).status, 403);
  standIn.switches.aheadMs = 3_601_000;
  const late = await v1('/create', wish);
  assert.deepEqual([late.status, late.body.message], [401, 'The incoming token has expired']);
  const second = await grant();
  assert.deepEqual([second.status, second.body.expires_in], [200, 3600]);
  const renewed = await grant({}, second.body.refresh_token);
  assert.equal(renewed.body.refresh_token, second.body.refresh_token);
  assert.notEqual(renewed.body.id_token, second.body.id_token);
  standIn.switches.tokenLimit = false;
  for (const name of ['username', 'password', 'app_key', 'app_secret'])
    assert.equal((await grant({ [name]: 'wrong' })).status, 401, name);
  assert.equal((await grant({}, 'made up')).body.statusCode, '9999');
});

test('what is wrong with a payment is told by its code, in the form of each generation', async () => {
  const wrong: readonly (readonly [Body, string])[] = [
    [{ amount: '0' }, '2006'],
    [{ amount: '5.005' }, '2006'],
    [{ amount: '-5' }, '2006'],
    [{ currency: 'USD' }, '2007'],
    [{ intent: 'authorization' }, '2008'],
    [{ mode: '0012' }, '2063'],
    [{ merchantInvoiceNumber: 'a<b' }, '2031'],
    [{ merchantInvoiceNumber: 'a'.repeat(256) }, '2031'],
    [{ payerReference: 'a&b' }, '2048'],
    [{ callbackURL: '/cb' }, '2049'],
    [{ amount: '' }, '2065'],
    [{ mode: '0001', agreementID: 'x', agreementId: 'x' }, '2050'],
  ];
  for (const [changes, code] of wrong) {
    const first = await v1('/create', { ...wish, ...changes });
    assert.deepEqual([first.status, first.body.statusCode], [200, code]);
    const second = await v2('/payment/create', { ...wish, ...changes });
    assert.deepEqual([second.status, second.body.externalCode], [400, code]);
    assert.equal(typeof second.body.errorMessageEn, 'string');
  }
  standIn.switches.v2ErrorStatus = 200;
  assert.equal((await v2('/payment/execute', { paymentId: 'TR0011x' })).status, 200);
});

test('a payment looks like those of bKash, in both generations', async () => {
  const { id, page, body } = await created();
  assert.match(id, /^TR0011[A-Za-z0-9]{8}\d{13}$/);
  assert.match(String(body.paymentCreateTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d:\d{3} GMT\+0600$/);
  assert.match(page, /\/\?paymentId=TR0011.+&hash=.+&mode=0011&apiVersion=v1\.2\.0-beta\/$/);
  const signatures = ['success', 'failure', 'cancelled'].map((name) =>
    new URL(String(body[`${name}CallbackURL`])).searchParams.get('signature'),
  );
  assert.equal(new Set(signatures).size, 1);
  const waiting = (await v1('/payment/status', { paymentID: id })).body;
  assert.deepEqual(
    [waiting.transactionStatus, waiting.merchantInvoice, waiting.amount, 'trxID' in waiting],
    ['Initiated', 'TOP01J8ZK3', '500', false],
  );
  const second = (await v2('/payment/create', wish)).body;
  assert.ok('paymentId' in second && 'signature' in second && !('statusCode' in second));
  const asked = (await v2('/query/payment', { paymentId: second.paymentId })).body;
  assert.deepEqual([asked.trxId, asked.transactionStatus], ['', 'Initiated']);
  assert.equal((await v1('/payment/status', { paymentID: 'TR0011x' })).body.statusCode, '2002');
});

test('the browser comes back with exactly what bKash adds, and what was there stays', async () => {
  const { id, page } = await created();
  const back = await payAt(page);
  assert.deepEqual(
    [...back.searchParams.keys()],
    ['p', 'paymentID', 'status', 'signature', 'apiVersion'],
  );
  assert.equal(back.searchParams.get('paymentID'), id);
  assert.equal(back.searchParams.get('status'), 'success');
  assert.equal(back.searchParams.get('apiVersion'), '1.2.0-beta/');
  const statuses: (string | null | undefined)[] = [];
  for (const name of ['cancel', 'fail'])
    statuses.push((await act((await created()).page, name)).to?.searchParams.get('status'));
  assert.deepEqual(statuses, ['cancel', 'failure']);
  const closed = await act((await created()).page, 'close');
  assert.equal(closed.to, null);
  assert.match(closed.html, /closed the tab/);
});

test('the page says that it is none of bKash, speaks both languages, and shows nobody another payment', async () => {
  const { page } = await created({ merchantInvoiceNumber: `"><i>'`.replace(/[<>]/g, '') });
  const english = await (await fetch(page)).text();
  assert.match(english, /<strong>SANDBOX<\/strong>This is not bKash/);
  assert.match(english, /৳500\.00/);
  assert.match(english, /&quot;i&#39;/);
  const bangla = await (await fetch(`${page.replace(/&mode.*/, '')}&lang=bn`)).text();
  assert.match(bangla, /<html lang="bn">/);
  assert.match(bangla, /এটি আসল বিকাশ নয়/);
  const forged = await fetch(page.replace(/hash=[^&]+/, 'hash=other'));
  assert.equal(forged.status, 404);
  assert.match((await act(page, 'next', '01700000000')).html, /role="alert"/);
  await act(page, 'next', '01770618575');
  for (let turn = 0; turn < 2; turn += 1)
    assert.match((await act(page, 'next', '000000')).html, /role="alert"/);
  const third = await act(page, 'next', '000000');
  assert.equal(third.to?.searchParams.get('status'), 'failure');
});

test('an execute that comes too early is refused; what follows is for a test to say', async () => {
  for (const allowed of [true, false]) {
    standIn.switches.executeAfterRefusal = allowed;
    const { id, page } = await created({ amount: allowed ? '10' : '20' });
    assert.equal((await v1('/execute', { paymentID: id })).body.statusCode, '2056');
    await payAt(page);
    const { statusCode } = (await v1('/execute', { paymentID: id })).body;
    assert.equal(statusCode, allowed ? '0000' : '2056');
  }
});

test('one that is slow is done all the same, whether or not somebody waits', async () => {
  const { id, page } = await created();
  await payAt(page);
  standIn.faults.add('execute', { ms: 60_000 });
  const waiting = v1('/execute', { paymentID: id }, {}, AbortSignal.timeout(200));
  await assert.rejects(waiting);
  const { body } = await v1('/payment/status', { paymentID: id });
  assert.equal(body.transactionStatus, 'Completed');
});

test('the same wallet and amount within two minutes, and a second execute, move nothing', async () => {
  const first = await taken();
  const { id, page } = await created();
  await payAt(page);
  assert.equal((await v1('/execute', { paymentID: id })).body.statusCode, '2029');
  assert.equal((await v1('/execute', { paymentID: first.id })).body.statusCode, '2062');
  assert.equal(standIn.book.total(), 50_000);
  standIn.switches.aheadMs = 121_000;
  assert.equal((await v1('/execute', { paymentID: id })).body.statusCode, '0000');
  const found = await v1('/general/searchTransaction', { trxID: first.trxId });
  assert.equal(found.body.transactionType, 'bKash Tokenized Checkout via API');
  assert.equal('merchantInvoice' in found.body, false);
});

test('refunds want all their fields, the right transaction, and end at ten', async () => {
  standIn.switches.refundDuplicateMs = 0;
  const { id, trxId } = await taken();
  const order = { paymentId: id, trxId, refundAmount: '1', sku: 'R1', reason: 'asked' };
  const path = '/refund/payment/transaction';
  for (const name of ['sku', 'reason'])
    assert.equal((await v2(path, { ...order, [name]: undefined })).status, 400);
  const codes: readonly (readonly [Body, string])[] = [
    [{ refundAmount: '500.01' }, '2072'],
    [{ sku: 'a<' }, '2073'],
    [{ sku: 'a'.repeat(256) }, '2075'],
    [{ reason: 'a'.repeat(256) }, '2076'],
    [{ trxId: 'CK250NROQ5' }, '2077'],
    [{ paymentId: 'TR0011x' }, '2002'],
    [{ paymentId: (await created()).id }, '2127'],
  ];
  for (const [changes, code] of codes)
    assert.equal((await v2(path, { ...order, ...changes })).body.externalCode, code);
  for (let turn = 0; turn < 10; turn += 1)
    assert.equal((await v2(path, order)).body.refundTransactionStatus, 'Completed');
  assert.equal((await v2(path, order)).body.externalCode, '2072');
  const { body } = await v2('/refund/payment/status', { paymentId: id, trxId });
  assert.equal(Array.isArray(body.refundTransactions) && body.refundTransactions.length, 10);
  assert.equal(standIn.book.total(), 49_000);
});

test('notifications go to the webhook as SNS sends them: again while refused, or held and in any order', async () => {
  const got: { headers: IncomingHttpHeaders; body: Record<string, string> }[] = [];
  let refuse = 1;
  const receiver = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      got.push({ headers: request.headers, body: JSON.parse(text) });
      response.writeHead(refuse-- > 0 ? 503 : 200).end();
    });
  });
  receivers.push(receiver);
  standIn.sns.webhook = `http://127.0.0.1:${await listen(receiver)}/`;
  const { trxId } = await taken();
  await until('it was sent again', () => got.length === 2);
  assert.equal(got[0]?.body.MessageId, got[1]?.body.MessageId);
  assert.match(String(got[0]?.headers['content-type']), /^text\/plain/);
  assert.equal(got[0]?.headers['x-amz-sns-message-type'], 'Notification');
  const said = JSON.parse(got[0]?.body.Message ?? '{}');
  assert.deepEqual(
    [said.trxID, said.debitMSISDN, said.merchantInvoiceNumber],
    [trxId, '8801770618575', 'TOP01J8ZK3'],
  );
  standIn.switches.notifications = 'held';
  await taken({ amount: '10' });
  await taken({ amount: '20' });
  assert.equal(got.length, 2);
  await standIn.sns.release((held) => held.toReversed());
  const amounts = got.slice(2).map(({ body }) => JSON.parse(body.Message ?? '{}').amount);
  assert.deepEqual(amounts, ['20', '10']);
});
