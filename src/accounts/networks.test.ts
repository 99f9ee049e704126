import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { networkTest, parseNetwork } from './networks.ts';

test('networks are written in one way', () => {
  const cases: [string, string | null][] = [
    ['203.0.113.7', '203.0.113.7/32'],
    ['203.0.113.0/24', '203.0.113.0/24'],
    [' 10.0.0.0/8 ', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['::/0', '::/0'],
    ['::ffff:192.0.2.1', '192.0.2.1/32'],
    ['::ffff:192.0.2.0/120', '192.0.2.0/24'],
    ['::ffff:c000:201', '192.0.2.1/32'],
    ['64:ff9b::192.0.2.0/120', '64:ff9b::192.0.2.0/120'],
    ['10.0.0.7/8', null],
    ['2001:db8::1/32', null],
    ['64:ff9b::192.0.2.1/120', null],
    ['::ffff:192.0.2.0/90', null],
    ['10.0.0.0/33', null],
    ['::/129', null],
    ['10.0.0.0/', null],
    ['10.0.0.0/8/8', null],
    ['10.0.0.0/-1', null],
    ['10.0.0/8', null],
    ['fe80::1%eth0', null],
    ['localhost', null],
    ['', null],
  ];
  for (const [text, expected] of cases) assert.equal(parseNetwork(text), expected, text);
});

test('an IPv4 network lets in the IPv4-mapped spelling of its addresses, and no others', () => {
  const allowed = networkTest(['192.0.2.0/24', '2001:db8::/32']);
  for (const inside of [
    '192.0.2.9',
    '::ffff:192.0.2.9',
    '::FFFF:192.0.2.9',
    '::ffff:c000:209',
    '2001:db8:1::5',
  ])
    assert.ok(allowed(inside), inside);
  for (const outside of ['192.0.3.9', '::ffff:192.0.3.9', '2001:db9::1', '::1', '', 'nonsense'])
    assert.ok(!allowed(outside), outside);
});

test('no networks mean every address', () => {
  assert.ok(networkTest([])('198.51.100.1'));
});

test('a network whose first address is itself is accepted exactly when no bit is set behind the prefix', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 1, max: 32 }), (address, prefix) => {
      const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
      const value = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      const clean = prefix === 32 || value % 2 ** (32 - prefix) === 0;
      assert.equal(parseNetwork(`${address}/${prefix}`) !== null, clean);
    }),
  );
});

test('every valid IPv6 address stands for itself', () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const network = parseNetwork(address);
      assert.ok(network);
      assert.ok(networkTest([network])(address));
    }),
  );
});
