/** An audit that never complains proves nothing: each of its checks is shown a row that lies. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { auditsOfLies, type HonestBooks, writeHonestBooks } from '../../test/honest_books.ts';
import { Ledgers } from '../../test/ledgers.ts';
import { audit } from './audit.ts';
import { checks } from './audit_checks.ts';

let ledgers: Ledgers;
let books: HonestBooks;

before(async () => {
  ledgers = await Ledgers.open();
  books = await writeHonestBooks(ledgers);
});
after(() => ledgers[Symbol.asyncDispose]());

const stranger = '0199a000-0000-7000-8000-000000000001';
const nobody = 999_999;

type Lie = readonly [says: string, id: string | number, ...statements: string[]];

function receipt(change: string, id: string): string {
  return `UPDATE receipts SET ${change} WHERE id = '${id}'`;
}

function transfer(change: string, id: string, kind = 'charge'): string {
  return `UPDATE transfers SET ${change} WHERE id = '${id}' AND kind = '${kind}'`;
}

/** The id of a total, as findings write it. */
function bonusDay(): string {
  return `wallet ${books.payer}, ${books.bonusDay}, bonus, key , model `;
}

/** By check: what is falsified, whose id must be found, how. */
type Lies = Readonly<Record<string, readonly Lie[]>>;

function insert(kind: string, debit: number, credit: number, amount = 5): string {
  return `INSERT INTO transfers (id, kind, debit, credit, amount, seal) VALUES ('${stranger}', '${kind}', ${debit}, ${credit}, ${amount}, '')`;
}

function account(change: string, id = books.payer): string {
  return `UPDATE ledger_accounts SET ${change} WHERE id = ${id}`;
}

function liesOfWallets(): Lies {
  const { payer, other, charged, open, free } = books;
  return {
    'a wallet’s balance is the sum of its transfers': [
      ['more than came in', payer, account('balance = balance + 1')],
      ['less than was left', payer, account('balance = balance - 1')],
      ['a credit that is gone', payer, `DELETE FROM transfers WHERE kind = 'bonus'`],
      ['money without any transfer', other, `DELETE FROM transfers WHERE credit = ${other}`],
      ['a transfer that was changed', payer, transfer('amount = amount - 1', charged)],
    ],
    'a wallet holds what its open requests hold': [
      ['more', payer, account('held = held + 1')],
      ['nothing', payer, account('held = 0')],
      ['although no request is open', other, account('held = 3', other)],
      ['a request that is gone', payer, `DELETE FROM holds WHERE id = '${open}'`],
      ['a platform account', 1, account('held = 3', 1)],
    ],
    'a wallet knows whether keys of it are counted and have limits': [
      ['limits that are not there', other, account('keys_limited = true', other)],
      ['limits that are forgotten', payer, account('keys_limited = false')],
      ['keys that are forgotten', payer, account('keys_counted = false')],
      ['a key that is gone', payer, 'DELETE FROM key_limits'],
    ],
    'a wallet has as many receipts as it counted': [
      ['one more', payer, account('ended = ended + 1')],
      [
        'a receipt that is gone, and cost nothing',
        payer,
        `DELETE FROM receipts WHERE id = '${free}'`,
      ],
    ],
    'an account is as it was opened': [
      ['of another user', payer, account(`user_id = '${stranger}'`)],
      ['with another seal', payer, account(`seal = ''`)],
    ],
    'a wallet is never below zero': [
      ['balance', other, account('balance = -1', other)],
      ['held', other, account('held = -1', other)],
      ['more held than there is', other, account('held = balance + 1', other)],
    ],
  };
}

function liesOfTransfers(): Lies {
  const { payer, other, charged } = books;
  return {
    'a transfer joins two accounts that exist': [
      ['from nowhere', stranger, insert('topup', nobody, payer)],
      ['to nowhere', stranger, insert('charge', payer, nobody)],
      ['of nothing', stranger, insert('topup', 5, payer, 0)],
      ['of less than nothing', stranger, insert('topup', 5, payer, -5)],
    ],
    'a transfer’s accounts are those of its kind': [
      ['a charge of the platform', stranger, insert('charge', 3, 1)],
      ['a charge to another wallet', stranger, insert('charge', payer, other)],
      ['a charge to another account', stranger, insert('charge', payer, 3)],
      ['a loss of a wallet', stranger, insert('loss', payer, 1)],
      ['a loss to a wallet', stranger, insert('loss', 2, payer)],
      ['a top-up by another wallet', stranger, insert('topup', other, payer)],
      ['a bonus for the platform', stranger, insert('bonus', 3, 1)],
      ['an adjustment to revenue', stranger, insert('adjustment', payer, 1)],
    ],
    'a transfer is as it was written': [
      ['with another note', charged, transfer(`note = 'x'`, charged)],
    ],
  };
}

function liesOfReceipts(): Lies {
  const { payer, other, charged, lost, recovered, free } = books;
  return {
    'a receipt is as it was written': [
      ['of another model', charged, receipt(`model = 'x'`, charged)],
      ['with another detail', free, receipt(`detail = '{"a":1}'`, free)],
    ],
    'a receipt’s charge is its transfer': [
      ['less on the receipt', charged, receipt('charged = charged - 1, cost = cost - 1', charged)],
      ['nothing on it', recovered, receipt('charged = 0, cost = 0', recovered)],
      ['a charge that was never made', free, receipt('charged = 9, cost = 9', free)],
      ['no transfer', charged, `DELETE FROM transfers WHERE id = '${charged}'`],
      ['another wallet', charged, receipt(`wallet = ${other}`, charged)],
    ],
    'a charge has its receipt': [
      ['a charge from nowhere', stranger, insert('charge', payer, 1)],
      ['a receipt that is gone', charged, `DELETE FROM receipts WHERE id = '${charged}'`],
    ],
    'what a receipt costs is charged or lost': [
      ['more than both', charged, receipt('cost = cost + 1', charged)],
      ['less than both', lost, receipt('cost = cost - 1', lost)],
      ['a loss that is gone', lost, `DELETE FROM transfers WHERE id = '${lost}' AND kind = 'loss'`],
      ['a loss that was changed', lost, transfer('amount = amount + 1', lost, 'loss')],
    ],
  };
}

function liesOfTheRest(): Lies {
  const { payer, charged, open, key, receiptKey, refund } = books;
  return {
    'a request was given back what its refund says, once': [
      ['more', refund, 'UPDATE request_refunds SET amount = amount + 1'],
      ['on another day', refund, 'UPDATE request_refunds SET day = day - 1'],
      ['what nobody knows of', refund, 'DELETE FROM request_refunds'],
      ['what never came', refund, `DELETE FROM transfers WHERE id = '${refund}'`],
    ],
    'a request is open or ended, not both': [
      ['a hold for a receipt', charged, `UPDATE holds SET id = '${charged}' WHERE id = '${open}'`],
    ],
    'a hold is as the ledger wrote it': [
      ['with another checkpoint', open, `UPDATE holds SET checkpoint = 1 WHERE id = '${open}'`],
    ],
    'a limited key holds what its open requests hold': [
      ['more', key, 'UPDATE key_limits SET held = held + 1'],
      ['a hold of another key', key, `UPDATE holds SET key_id = NULL WHERE id = '${open}'`],
    ],
    'a key has used what its receipts charged, less what was given back': [
      ['less', key, 'UPDATE key_limits SET total_used = total_used - 1'],
      ['a receipt of another key', key, receipt('key_id = NULL', charged)],
      ['a refund of another key', key, 'UPDATE request_refunds SET key_id = NULL'],
    ],
    'the limits of a key are as they were set and counted': [
      ['another limit', key, 'UPDATE key_limits SET total_limit = 2000000'],
    ],
    'a day’s total is the sum of its lines': [
      [
        'more',
        bonusDay(),
        `UPDATE day_totals SET amount = amount + 1 WHERE wallet = ${payer} AND kind = 'bonus'`,
      ],
      [
        'a day that is gone',
        bonusDay(),
        `DELETE FROM day_totals WHERE wallet = ${payer} AND kind = 'bonus'`,
      ],
    ],
    'the totals of archived requests are what went to the archives': [
      [
        'an archive that there never was',
        'archived_totals',
        `INSERT INTO archived_totals SELECT * FROM day_totals WHERE wallet = ${payer} AND kind = 'bonus'`,
      ],
    ],
    'what is known of an archive is as it was when it was made': [
      [
        'one of another making',
        `transfers from ${stranger}`,
        `INSERT INTO ledger_archives (base, from_id, to_id, rows, charged, seals, file, sha256, seal)
         VALUES ('transfers', '${stranger}', '${stranger}', 0, 0, 0, 'x', sha256('x'), '')`,
      ],
    ],
    'prices are as they were when they were charged': [
      ['another price', books.priceVersion, `UPDATE price_versions SET content = '{}'`],
    ],
    'a receipt key is as it was made': [
      ['another key', receiptKey, `UPDATE receipt_keys SET public_key = sha256('x')`],
    ],
    'a hold belongs to a wallet': [
      ['of nobody', open, `UPDATE holds SET wallet = ${nobody} WHERE id = '${open}'`],
      ['of the platform', open, `UPDATE holds SET wallet = 1 WHERE id = '${open}'`],
    ],
  };
}

/** The account of money in transit by bKash. */
const clearing = 6;

function liesOfSales(): Lies {
  const { payer } = books;
  const batch = `INSERT INTO voucher_batches (id, value, codes, uses, once, note, who, row_seal)
    VALUES ('${stranger}', 5, 1, 1, false, '', 'x', '')`;
  const code = `INSERT INTO voucher_codes (hash, batch, number, last_four, used, row_seal)
    VALUES (sha256('x'), '${stranger}', 1, 'ABCD', 1, '')`;
  const payment = `INSERT INTO payments (id, user_id, wallet, method, environment, amount, fee, rate, credit, bonus, quoted_until, invoice,
      token_hash, seal, expires_at, row_seal)
    VALUES ('${stranger}', '${stranger}', ${payer}, 'bkash', 'sandbox', 100, 0, 120000000, 9000000, 0, now(), 'X', sha256('x'), '', now(), '')`;
  const slip = `INSERT INTO wallet_requests (request_key, transfer, kind, row_seal) VALUES ('slip', '${stranger}', 'topup', '')`;
  return {
    'money of payments and vouchers was ordered by one of them': [
      ['a top-up that nobody paid', stranger, insert('topup', clearing, payer)],
      ['a refund that nobody ordered', stranger, insert('refund', payer, clearing)],
    ],
    'a payment is in the books as it was credited and refunded': [
      ['more than its price', stranger, payment],
    ],
    'a row of a payment is as the program wrote it': [
      ['one that no program made', `payments ${stranger}`, payment],
    ],
    'a voucher is in the books as often as it was redeemed': [
      ['a use without a redemption', `${stranger} 1`, batch, code],
    ],
    'a row of a voucher is as the program wrote it': [
      ['a code that no program made', `voucher_codes ${stranger} 1`, batch, code],
    ],
    'what money is moved by is as the program wrote it': [
      ['a batch that no program made', `voucher_batches ${stranger}`, batch],
      ['a key that no program took', 'wallet_requests slip', slip],
    ],
    'a request key stands for money that was moved': [['of none', 'slip', slip]],
  };
}

function lies(): Lies {
  return {
    ...liesOfWallets(),
    ...liesOfTransfers(),
    ...liesOfReceipts(),
    ...liesOfSales(),
    ...liesOfTheRest(),
  };
}

test('honest books: no findings, everything counted', async () => {
  const counts = { wallets: 2, transfers: 12, receipts: 6, holds: 1 };
  const honest = { ok: true, findings: [], ...counts };
  assert.deepEqual({ ...(await audit(ledgers.database.sql)) }, honest);
  const [report] = await auditsOfLies(ledgers, [[]]);
  assert.deepEqual({ ...report }, honest, 'nor without its constraints');
});

test('every check finds the row that lies', async () => {
  const all = lies();
  const ways = Object.entries(all).flatMap(([check, list]) =>
    list.map(([says, id, ...statements]) => ({ check, says, id: String(id), statements })),
  );
  const reports = await auditsOfLies(
    ledgers,
    ways.map(({ statements }) => statements),
  );
  assert.equal(reports.length, ways.length);
  for (const [index, { check, says, id }] of ways.entries()) {
    const { ok, findings } = reports[index] ?? {};
    assert.equal(ok, false, `${check}: ${says}`);
    const found = findings?.find((one) => one.check === check && one.id === id);
    assert.ok(found, `${check}: ${says}: ${JSON.stringify(findings)}`);
    assert.ok(found.detail.length > 5);
  }
  const names = checks.map(({ name }) => name);
  assert.deepEqual(Object.keys(all).sort(), names.sort(), 'a check that is shown nothing');
  assert.equal((await audit(ledgers.database.sql)).ok, true);
});
