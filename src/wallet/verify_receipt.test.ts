/** A signed receipt is right as it was signed, and wrong after any change: of a value, of a member, of the key. */
import assert from 'node:assert/strict';
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { describe, test } from 'node:test';
import { timeOrderedId } from '../ids.ts';
import { nano } from './money.ts';
import { publicReceipt, receiptFormat, signedText } from './receipt_form.ts';
import type { Receipt } from './receipts.ts';
import { verifyReceipt } from './verify_receipt.ts';

const { privateKey } = generateKeyPairSync('ed25519');

function publicText(key: KeyObject): string {
  return String(createPublicKey(key).export({ format: 'jwk' }).x);
}

function signed(receipt: unknown, key = privateKey) {
  const public_key = publicText(key);
  const bytes = Buffer.from(public_key, 'base64url');
  return {
    format: receiptFormat,
    receipt,
    signature: {
      algorithm: 'Ed25519',
      key_id: createHash('sha256').update(bytes).digest('hex').slice(0, 16),
      public_key,
      value: sign(null, Buffer.from(signedText(receipt)), key).toString('base64url'),
    },
  };
}

/** 900 × 0.3 + 100 × 0.03 + 50 × 1.2 + 20 × 2 micro-USD, of a prompt above a tier, with a fee of 0.0000000015 USD. */
const settled: Receipt = {
  id: timeOrderedId(),
  keyId: crypto.randomUUID(),
  model: 'acme/one',
  provider: 'acme',
  outcome: 'settled',
  inputTokens: 1000,
  outputTokens: 70,
  cost: nano(373_002),
  charged: nano(373_000),
  held: nano(373_000),
  refunded: nano(5),
  refundNote: 'sorry',
  settledAt: new Date(),
  detail: {
    finishReason: 'stop',
    reason: null,
    reportedBy: 'provider',
    upstreamModel: 'one-1',
    priceVersion: 'acme/one@acme-0123456789abcdef',
    tokens: { input: 900, cacheRead: 100, output: 50, reasoning: 20, request: 1 },
    prices: {
      input: 300_000,
      cacheRead: 30_000,
      output: 1_200_000,
      reasoning: 2_000_000,
      request: 1500,
    },
    firstByteMs: 12,
    durationMs: 34,
    flags: ['video_tokens'],
    failedAttempts: [{ provider: 'other', status: 503, reason: 'busy' }],
  },
  priceList: {
    input: 1,
    output: 1,
    cachedInput: null,
    tiers: [
      {
        aboveInputTokens: 999,
        prices: {
          input: 300_000,
          output: 1_200_000,
          cachedInput: 30_000,
          reasoning: 2_000_000,
          request: 1500,
        },
      },
      { aboveInputTokens: 1000, prices: { input: 5, output: 5 } },
    ],
  },
};

const free: Receipt = {
  ...settled,
  provider: null,
  outcome: 'released',
  inputTokens: 0,
  outputTokens: 0,
  cost: nano(0),
  charged: nano(0),
  refunded: nano(0),
  refundNote: null,
  detail: { reason: 'No active providers available.' },
  priceList: null,
};
const recovered: Receipt = {
  ...settled,
  outcome: 'recovered',
  cost: nano(700_002),
  charged: nano(700_002),
  held: nano(700_002),
  outputTokens: 200,
  detail: {
    upstreamModel: 'one-1',
    priceVersion: 'acme/one@acme-0123456789abcdef',
    tokens: { input: 1000, reasoning: 200, request: 1 },
    prices: { input: 300_000, reasoning: 2_000_000, request: 1500 },
    firstByteMs: 12,
    reason: 'the server stopped while it was answering',
  },
};
/** As they were before checkpoints told of prices. */
const unexplained: Receipt = {
  ...settled,
  provider: null,
  outcome: 'recovered',
  cost: nano(10),
  charged: nano(10),
  detail: { reason: 'the server stopped while it was answering' },
  priceList: null,
};

const faultsOf = (content: unknown, keys: string | null = null) =>
  verifyReceipt(JSON.stringify(content), keys).faults;

test('what was signed is right, also in another order and with blanks', () => {
  for (const receipt of [settled, free, recovered, unexplained]) {
    const content = signed(publicReceipt(receipt));
    assert.deepEqual(faultsOf(content), []);
    const turned = Object.fromEntries(Object.entries(content.receipt ?? {}).reverse());
    const spaced = JSON.stringify({ ...content, receipt: turned }, null, '\t');
    assert.deepEqual(verifyReceipt(spaced, null).faults, []);
  }
});

test('a key of the installation is known in every form of a key file, and another one is not', () => {
  const content = signed(publicReceipt(settled));
  const own = publicText(privateKey);
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const pem = (key: KeyObject) =>
    createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  const served = (...keys: string[]) =>
    JSON.stringify({ keys: keys.map((public_key) => ({ key_id: 'x', public_key })) });
  for (const file of [pem(privateKey), own, served(publicText(stranger), own)])
    assert.deepEqual(faultsOf(content, file), []);
  for (const file of [pem(stranger), publicText(stranger), served(publicText(stranger)), served()])
    assert.equal(faultsOf(content, file).length, 1);
  assert.throws(() => faultsOf(content, 'no key'));
});

/** Every way to change one thing in a value: leaves get other values, members and elements go, come or move. */
function* corruptions(value: unknown, path: string): Generator<[path: string, value: unknown]> {
  if (Array.isArray(value)) {
    yield [`${path}+`, [...value, value[0] ?? 'more']];
    for (const [index, element] of value.entries()) {
      yield [`${path}.${index} away`, value.toSpliced(index, 1)];
      for (const [inner, other] of corruptions(element, `${path}.${index}`))
        yield [inner, value.with(index, other)];
    }
  } else if (typeof value === 'object' && value !== null) {
    yield [`${path} with more`, { ...value, more: 1 }];
    for (const [name, element] of Object.entries(value)) {
      const others = Object.entries(value).filter(([other]) => other !== name);
      yield [`${path}.${name} away`, Object.fromEntries(others)];
      for (const [inner, other] of corruptions(element, `${path}.${name}`))
        yield [inner, { ...value, [name]: other }];
    }
  } else {
    yield [`${path} null`, value === null ? 'x' : null];
    if (typeof value === 'number') for (const by of [-1, 1, 0.5]) yield [path, value + by];
    if (typeof value === 'string') {
      yield [path, `${value}0`];
      yield [path, value.slice(1)];
      for (let place = 0; place < value.length; place += 1) {
        const other = value[place] === '1' ? '2' : '1';
        yield [`${path}[${place}]`, value.slice(0, place) + other + value.slice(place + 1)];
      }
    }
  }
}

describe('any change is seen', () => {
  for (const receipt of [settled, free, recovered, unexplained])
    test(`of a receipt that is ${receipt.outcome}`, () => {
      const content = signed(publicReceipt(receipt));
      let count = 0;
      for (const [path, changed] of corruptions(content, '')) {
        assert.notDeepEqual(faultsOf(changed), [], `${path}: ${JSON.stringify(changed)}`);
        count += 1;
      }
      assert.ok(count > 500, `only ${count} changes were tried`);
    });
});

test('a wrong sum is named although it is signed', () => {
  const right = publicReceipt(settled);
  const wrong: [change: object, said: RegExp][] = [
    [{ cost: '0.000373001' }, /cost is cost_unrounded, rounded up once/],
    [{ cost_unrounded: '0.0003730014' }, /sum of the lines/],
    [{ charged: '0.000374' }, /charge is not above the cost/],
    [{ hold: '0.0003' }, /charge is not above the hold/],
    [{ paid_by_operator: '0' }, /operator’s part/],
    [{ refunded: '1' }, /refund is not above the charge/],
    [{ tokens_prompt: 1001 }, /tokens_prompt is the sum/],
    [{ tokens_completion: 71 }, /tokens_completion is the sum/],
    [{ attempts: 1 }, /attempts are counted/],
    [{ request_id: `req_${'0'.repeat(32)}` }, /of one request/],
    [{ created_at: '2026-01-01T00:00:00.000Z' }, /moment of the id/],
    [{ usage_reported_by: 'estimate' }, /agree/],
    [{ lines: right.lines.slice(1) }, /sum of its lines/],
    [{ lines: right.lines.filter((line) => line.class !== 'request') }, /the fee/],
    [{ lines: right.lines.map((line) => ({ ...line, usd: '0.001' })) }, /count × price/],
    [{ lines: right.lines.map((line) => ({ ...line, usd_each: '0.001' })) }, /price list/],
    [{ lines: right.lines.map((line) => ({ ...line, class: 'output' })) }, /one line/],
    [{ lines: right.lines.map((line) => ({ ...line, class: 'toString' })) }, /price list/],
    [{ outcome: 'released', usage_reported_by: null }, /has no lines/],
  ];
  for (const [change, said] of wrong)
    assert.match(faultsOf(signed({ ...right, ...change })).join('\n'), said);
});

test('a file that other readers may read otherwise was not written by this service', () => {
  const text = JSON.stringify(signed(publicReceipt(settled)), null, 2);
  assert.deepEqual(verifyReceipt(text, null).faults, []);
  const forgeries: [what: string, file: string][] = [
    ['a member twice', text.replace('"charged":', '"charged": "0", "charged":')],
    [
      'a member twice, in other letters',
      text.replace('"charged":', '"char\\u0067ed": "0", "charged":'),
    ],
    ['__proto__', text.replace('"prices": {', '"prices": { "__proto__": "1",')],
    ['a number in another form', text.replace('"attempts": 2', '"attempts": 2.0')],
    ['a number in another form', text.replace('"total_ms": 34', '"total_ms": 3.4e1')],
  ];
  for (const [what, file] of forgeries) {
    assert.notEqual(file, text, what);
    assert.deepEqual(
      verifyReceipt(file, null).faults,
      ['the file was not written by this service'],
      what,
    );
  }
});

test('what is no receipt at all gets a sentence', () => {
  for (const text of ['', 'x', '[]', 'null', '{}', '{"format":"akai-receipt/1"}'])
    assert.notDeepEqual(verifyReceipt(text, null).faults, [], text);
});
