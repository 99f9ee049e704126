import { strict as assert } from 'node:assert';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { listen } from '../../test/listen.ts';
import { BkashSns, type Envelope, selfSigned } from '../sandbox/bkash_sns.ts';
import { BkashNotifications, fetchBounded, isAmazonSns } from './bkash_sns.ts';

const said = {
  dateTime: '20261123173005',
  debitMSISDN: '8801770618575',
  trxID: 'DK250NROQ5',
  transactionStatus: 'Completed',
  transactionType: '10002294',
  amount: '500',
  currency: 'BDT',
  merchantInvoiceNumber: 'TOP01J8ZK3',
};
const message = JSON.stringify(said);
let sns: BkashSns;
let fetched: string[];
let confirmSubscription = false;
let reader: BkashNotifications;

before(async () => {
  sns = new BkashSns();
  await sns.prepare();
});

beforeEach(() => {
  fetched = [];
  confirmSubscription = false;
  reader = new BkashNotifications({
    topicArn: sns.topicArn,
    get confirmSubscription() {
      return confirmSubscription;
    },
    fetchText: async (url) => {
      fetched.push(url);
      return sns.fetchText(url);
    },
  });
});

const read = (envelope: Envelope, type = envelope.Type ?? '') =>
  reader.read(JSON.stringify(envelope), new Headers({ 'x-amz-sns-message-type': type }));

for (const SignatureVersion of ['1', '2'])
  test(`a genuine notification points to its payment; signature version ${SignatureVersion}`, async () => {
    const envelope = sns.notification(message, { SignatureVersion, Subject: 'bKash\nNotice' });
    const hint = await read(envelope);
    assert.equal(hint?.invoice, 'TOP01J8ZK3');
    assert.equal(hint?.providerId, null);
    assert.deepEqual(hint?.receipt, {
      trxId: 'DK250NROQ5',
      amount: 50_000,
      payer: '01770618575',
      paidAt: new Date('2026-11-23T11:30:05Z'),
    });
    const evidence = JSON.stringify(hint?.evidence);
    assert.ok(evidence.includes(envelope.MessageId ?? 'none'));
    assert.ok(evidence.includes('017******75') && !evidence.includes('1770618575'), evidence);
  });

test('any change after it was signed makes it worthless', async () => {
  const envelope = sns.notification(message);
  for (const name of ['Message', 'MessageId', 'Timestamp', 'Subject', 'Signature'])
    assert.equal(await read({ ...envelope, [name]: `x${envelope[name] ?? ''}` }), null, name);
  assert.equal(await read({ ...envelope, Type: 'SubscriptionConfirmation' }), null);
  assert.equal(await read({ ...envelope, SignatureVersion: '2' }), null);
  const { Signature: _, ...unsigned } = envelope;
  assert.equal(await read(unsigned), null);
});

test('a foreign topic is refused although it is signed, and before anything is fetched', async () => {
  const TopicArn = 'arn:aws:sns:ap-southeast-1:999999999999:mine';
  assert.equal(await read(sns.notification(message, { TopicArn })), null);
  assert.deepEqual(fetched, []);
  const unset = new BkashNotifications({
    topicArn: '',
    confirmSubscription: true,
    fetchText: sns.fetchText,
  });
  const envelope = sns.notification(message, { TopicArn: '' });
  assert.equal(await unset.read(JSON.stringify(envelope), new Headers()), null);
});

test('a certificate from elsewhere is not even fetched', async () => {
  const { pathname } = new URL(sns.certificateUrl);
  for (const SigningCertURL of [
    `http://sns.ap-southeast-1.amazonaws.com${pathname}`,
    `https://sns.ap-southeast-1.amazonaws.com.evil.example${pathname}`,
    `https://sns.evil.example/amazonaws.com${pathname}`,
    `https://evil.example/?sns.ap-southeast-1.amazonaws.com${pathname}`,
    `https://sns.ap-southeast-1.amazonaws.com:8443${pathname}`,
    `https://sns.ap-southeast-1.amazonaws.com@evil.example${pathname}`,
    `https://user:word@sns.ap-southeast-1.amazonaws.com${pathname}`,
    `https://evil.example\\@sns.ap-southeast-1.amazonaws.com${pathname}`,
    `https://s3.ap-southeast-1.amazonaws.com${pathname}`,
    'https://sns.ap-southeast-1.amazonaws.com/certificate.txt',
    'https://127.0.0.1/a.pem',
    'not an address',
  ])
    assert.equal(await read(sns.notification(message, { SigningCertURL })), null, SigningCertURL);
  assert.deepEqual(fetched, []);
  assert.ok(isAmazonSns('https://sns.cn-north-1.amazonaws.com.cn/a.pem'));
});

test('other versions of the signature, other types, and what is no message are refused', async () => {
  for (const SignatureVersion of ['0', '3', '', 'toString'])
    assert.equal(await read(sns.notification(message, { SignatureVersion })), null);
  assert.equal(await read(sns.notification(message, { Type: 'Other' })), null);
  assert.equal(await read(sns.notification(message, { Type: 'toString' })), null);
  assert.equal(await read(sns.notification(message), 'SubscriptionConfirmation'), null);
  for (const body of ['', '[]', 'null', '{"Type":', '{}', '<html>'])
    assert.equal(await reader.read(body, new Headers()), null);
});

test('a certificate whose dates do not hold, or of another key, proves nothing', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const now = Date.now();
  const texts = [
    selfSigned(privateKey, new Date(now - 5000), new Date(now + 60_000)),
    'no certificate',
  ];
  for (const text of texts) {
    const other = new BkashNotifications({
      topicArn: sns.topicArn,
      confirmSubscription: false,
      fetchText: async () => text,
    });
    const body = JSON.stringify(sns.notification(message));
    assert.equal(await other.read(body, new Headers()), null);
  }
  const old = new BkashSns(new Date(now - 90_000), new Date(now - 30_000));
  await old.prepare();
  const expired = new BkashNotifications({
    topicArn: old.topicArn,
    confirmSubscription: false,
    fetchText: old.fetchText,
  });
  assert.equal(await expired.read(JSON.stringify(old.notification(message)), new Headers()), null);
});

test('a certificate is fetched once; one that could not be had is tried again', async () => {
  let away = true;
  const patient = new BkashNotifications({
    topicArn: sns.topicArn,
    confirmSubscription: false,
    fetchText: async (url) => {
      fetched.push(url);
      if (away) throw new Error('away');
      return sns.fetchText(url);
    },
  });
  const body = JSON.stringify(sns.notification(message));
  assert.equal(await patient.read(body, new Headers()), null);
  away = false;
  for (let turn = 0; turn < 3; turn += 1) assert.ok(await patient.read(body, new Headers()));
  assert.equal(fetched.length, 2);
});

test('however many addresses a stranger names, a few are fetched at a time', async () => {
  const release = Promise.withResolvers<void>();
  const slow = new BkashNotifications({
    topicArn: sns.topicArn,
    confirmSubscription: false,
    fetchText: async (url) => {
      fetched.push(url);
      await release.promise;
      return sns.fetchText(url);
    },
  });
  const read = (SigningCertURL: string) =>
    slow.read(JSON.stringify(sns.notification(message, { SigningCertURL })), new Headers());
  const forged = Array.from({ length: 20 }, (_, index) =>
    read(`https://sns.ap-southeast-1.amazonaws.com/${index}.pem`),
  );
  assert.equal(fetched.length, 4);
  release.resolve();
  assert.deepEqual(new Set(await Promise.all(forged)), new Set([null]));
  assert.ok(await read(sns.certificateUrl));
});

test('a subscription is confirmed only while it is allowed, and only at Amazon', async () => {
  const refused = await read(sns.subscription());
  assert.match(JSON.stringify(refused?.evidence.body), /"confirmed":false/);
  assert.equal(sns.confirmed.length, 0);
  confirmSubscription = true;
  const elsewhere = await read(sns.subscription({ SubscribeURL: 'https://10.0.0.1/?Token=t' }));
  assert.deepEqual(new Set(fetched), new Set([sns.certificateUrl]));
  assert.match(JSON.stringify(elsewhere?.evidence.body), /"confirmed":false/);
  assert.equal(sns.confirmed.length, 0);
  const envelope = sns.subscription();
  const hint = await read(envelope);
  assert.match(JSON.stringify(hint?.evidence.body), /"confirmed":true/);
  assert.deepEqual(sns.confirmed, [envelope.Token]);
  assert.deepEqual([hint?.invoice, hint?.receipt], [null, null]);
});

test('a late one is still a hint; one of no payment is a receipt; nonsense is neither', async () => {
  const Timestamp = new Date(Date.now() - 5 * 3_600_000).toISOString();
  const late = await read(sns.notification(message, { Timestamp }));
  assert.equal(late?.invoice, 'TOP01J8ZK3');
  assert.match(JSON.stringify(late?.evidence.body), /"stale":true/);
  const { merchantInvoiceNumber: _, ...foreign } = said;
  const receipt = await read(sns.notification(JSON.stringify(foreign)));
  assert.equal(receipt?.invoice, null);
  assert.equal(receipt?.receipt?.amount, 50_000);
  for (const changes of [
    { currency: 'USD' },
    { amount: '5.005' },
    { transactionStatus: 'Failed' },
    { trxID: '' },
  ]) {
    const hint = await read(sns.notification(JSON.stringify({ ...said, ...changes })));
    assert.equal(hint?.receipt, null, JSON.stringify(changes));
  }
  const nonsense = await read(sns.notification('Hello'));
  assert.deepEqual([nonsense?.invoice, nonsense?.receipt], [null, null]);
});

test('fetching follows nowhere, and reads a little only', async () => {
  const server: Server = createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { Location: '/small' }).end();
    else if (request.url === '/small') response.end('text');
    else if (request.url === '/large') response.end('x'.repeat(100_000));
    else response.writeHead(404).end();
  });
  const origin = `http://127.0.0.1:${await listen(server)}`;
  try {
    assert.equal(await fetchBounded(`${origin}/small`), 'text');
    for (const path of ['/moved', '/large', '/missing'])
      await assert.rejects(fetchBounded(origin + path), path);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

after(() => sns?.close());
