/** Who asked for it is told once when the balance falls below the threshold, whoever looks; and messages reach nothing private. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { listen } from '../../test/listen.ts';
import { openPaymentsScene } from '../../test/payments_scene.ts';
import { until } from '../../test/scratch_data.ts';
import { isPublicAddress, publicLookup, whyNotThere } from '../accounts/public_address.ts';
import { type Nano, nano } from '../wallet/money.ts';
import { creditWallet, openWallet } from '../wallet/wallets.ts';
import { send } from './send.ts';
import { alertSettings, setAlerts } from './settings.ts';
import { BalanceWatch } from './watch.ts';

const scene = await openPaymentsScene();
const { sql, secret } = scene.desk;
const reach = { anywhere: true };

interface Heard {
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}
const heard: Heard[] = [];
let status = 200;
const hook = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    heard.push({ body, headers: request.headers });
    response.writeHead(status, { location: '/elsewhere' }).end('x'.repeat(100_000));
  });
});
const hookUrl = `http://127.0.0.1:${await listen(hook)}/hook`;
const said: string[] = [];
const watch = (): BalanceWatch =>
  new BalanceWatch({
    sql,
    secret,
    sandbox: true,
    reach,
    origin: () => 'http://127.0.0.1:3000',
    log: (_level, message) => void said.push(message),
    everyMs: 20,
  });
after(async () => {
  hook.close();
  await scene[Symbol.asyncDispose]();
});

const dollar = nano(1_000_000_000);

async function account(balance: Nano): Promise<{ user: string; wallet: number }> {
  const user = await scene.user();
  const wallet = await openWallet(sql, user);
  await creditWallet(sql, wallet, balance, { kind: 'topup', note: 'test' });
  return { user, wallet };
}

/** By hand: what a charge does to the balance. */
async function spend(wallet: number, amount: Nano): Promise<void> {
  await scene.owner`SELECT ledger_write_transfer(gen_random_uuid(), 'bonus', ${wallet}, (SELECT id FROM ledger_accounts WHERE name = 'promotion'), ${amount}, 'spent')`;
  await scene.owner`UPDATE ledger_accounts SET balance = balance - ${amount} WHERE id = ${wallet}`;
}

function wish(threshold: Nano | null, webhookUrl: string | null = null) {
  return { threshold, mail: true, webhookUrl, newSecret: false };
}

async function mailsTo(user: string): Promise<string[]> {
  const rows = await scene.owner<{ subject: string }[]>`
    SELECT subject FROM mails JOIN users u ON u.email = recipient WHERE u.id = ${user} ORDER BY mails.id`;
  return rows.map(({ subject }) => subject);
}

test('it is told once when the balance falls below, and again only after it was above', async () => {
  const { user, wallet } = await account(nano(5 * dollar));
  await setAlerts({ sql, secret, reach }, user, wish(nano(2 * dollar)));
  const some = Array.from({ length: 5 }, watch);
  const look = async (): Promise<number> => {
    await Promise.all(some.map((one) => one.look()));
    return (await mailsTo(user)).length;
  };
  assert.equal(await look(), 0);
  await spend(wallet, nano(4 * dollar));
  assert.equal(await look(), 1);
  assert.deepEqual(await mailsTo(user), ['[Sandbox] Your balance is down to $1']);
  assert.equal(await look(), 1);
  await creditWallet(sql, wallet, nano(2 * dollar), { kind: 'topup', note: 'test' });
  assert.equal(await look(), 1);
  assert.equal((await alertSettings(sql, user)).settings?.below, false);
  await spend(wallet, dollar);
  assert.equal(await look(), 1, 'within the hour it is not told again');
  await scene.owner`UPDATE balance_alerts SET told_at = now() - interval '2 hours' WHERE user_id = ${user}`;
  // At the threshold is not below it.
  assert.equal(await look(), 1);
  await spend(wallet, nano(1));
  assert.equal(await look(), 2);
});

test('another threshold is told of anew, the same one is not, and null ends it', async () => {
  const { user } = await account(dollar);
  const desk = { sql, secret, reach };
  const mails = async (): Promise<number> => {
    await watch().look();
    return (await mailsTo(user)).length;
  };
  await setAlerts(desk, user, wish(nano(2 * dollar)));
  assert.equal(await mails(), 1);
  await setAlerts(desk, user, wish(nano(2 * dollar)));
  assert.equal(await mails(), 1);
  await setAlerts(desk, user, wish(nano(3 * dollar)));
  assert.equal(await mails(), 2);
  await setAlerts(desk, user, wish(null));
  await setAlerts(desk, user, wish(null));
  assert.equal((await alertSettings(sql, user)).settings, null);
});

test('a webhook gets one signed message, although many look and deliver', async () => {
  heard.length = 0;
  const { user } = await account(dollar);
  const { webhookSecret } = await setAlerts(
    { sql, secret, reach },
    user,
    wish(nano(2 * dollar), hookUrl),
  );
  const some = Array.from({ length: 4 }, watch);
  for (const one of some) one.start();
  await until(
    'the message was delivered',
    async () => (await alertSettings(sql, user)).last?.deliveredAt != null,
  );
  await Promise.all(some.map((one) => one.stop()));
  assert.equal(heard.length, 1);
  const [{ body, headers } = { body: '', headers: {} }] = heard;
  assert.match(body, /"type":"balance.low".*"balance":1,"threshold":2,/);
  const [, seconds, mac] =
    /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['akai-signature'])) ?? [];
  assert.equal(
    mac,
    createHmac('sha256', webhookSecret ?? '')
      .update(`${seconds}.${body}`)
      .digest('hex'),
  );
  assert.ok(Math.abs(Date.now() / 1000 - Number(seconds)) < 60);
  const again = await setAlerts({ sql, secret, reach }, user, wish(nano(2 * dollar), hookUrl));
  assert.equal(again.webhookSecret, null, 'a secret is shown once');
  const kept =
    await scene.owner`SELECT webhook_secret::text AS sealed FROM balance_alerts WHERE user_id = ${user}`;
  assert.ok(!JSON.stringify(kept).includes(webhookSecret ?? 'nothing'));
});

test('a webhook that refuses or redirects is tried again, later each time, then given up loudly', async () => {
  heard.length = 0;
  said.length = 0;
  status = 302;
  const { user } = await account(dollar);
  await setAlerts({ sql, secret, reach }, user, wish(nano(2 * dollar), hookUrl));
  const one = watch();
  await one.look();
  for (let tries = 1; tries <= 7; tries += 1) {
    await one.deliver();
    assert.equal(heard.length, tries, 'no redirect is followed');
    const { last } = await alertSettings(sql, user);
    assert.equal(last?.lastError, 'it answered with status 302');
    assert.equal(last?.failedAt !== null, tries === 7);
    await one.deliver();
    assert.equal(heard.length, tries, 'it waits');
    await scene.owner`UPDATE alert_messages SET next_at = now() WHERE user_id = ${user} AND next_at IS NOT NULL`;
  }
  status = 200;
  assert.match(said.join(), /given up after 7 tries/);
  assert.ok((await mailsTo(user)).includes('[Sandbox] Your webhook could not be reached'));
});

test('messages that are long over are deleted, and no others', async () => {
  const { user } = await account(dollar);
  await scene.owner`
    INSERT INTO alert_messages (id, user_id, body, created_at, next_at, delivered_at, failed_at)
    SELECT gen_random_uuid(), ${user}, name, now() - age::interval, next_at, delivered_at, failed_at FROM (VALUES
      ('old and delivered', '31 days', NULL::timestamptz, now(), NULL::timestamptz), ('old and given up', '31 days', NULL, NULL, now()),
      ('young', '29 days', NULL, now(), NULL), ('on its way', '31 days', now() + interval '1 hour', NULL, NULL)
    ) m (name, age, next_at, delivered_at, failed_at)`;
  const own = watch();
  own.start();
  const left = () => scene.owner<{ body: string }[]>`
    SELECT body FROM alert_messages WHERE user_id = ${user} ORDER BY body`;
  try {
    await until('the old ones are gone', async () => (await left()).length <= 2);
  } finally {
    await own.stop();
  }
  assert.deepEqual([...(await left())], [{ body: 'on its way' }, { body: 'young' }]);
});

test('private addresses are not public, in whatever form', () => {
  const hidden =
    '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.31.0.1 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 fe80::1 fc00::1 fd12::1 ff02::1 64:ff9b::a00:1 2001::1 2001:db8::1 2002:a00:1::1 localhost';
  for (const address of hidden.split(' ')) assert.equal(isPublicAddress(address), false, address);
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111', '2400:3200::1'])
    assert.equal(isPublicAddress(address), true, address);
});

test('outside a private sandbox, messages go to the public internet by https only', async () => {
  const strict = { anywhere: false };
  const refused = [
    'http://example.com/',
    'ftp://example.com/',
    'https://user@example.com/',
    'nonsense',
    'https://localhost/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://10.0.0.1:8443/',
    'https://intranet/',
  ];
  for (const url of refused) assert.notEqual(whyNotThere(url, strict), null, url);
  assert.equal(whyNotThere('https://example.com/hook', strict), null);
  heard.length = 0;
  // A name that leads to this machine is seen when it is looked up.
  await assert.rejects(promisify(publicLookup)('localhost', {}), /private address/);
  await assert.rejects(send(hookUrl, '{}', {}, strict), /https/);
  assert.equal(heard.length, 0);
});
