/** A payer who reads Bangla reads no English sentence, whatever becomes of the payment. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manualInstructions } from '../payments/manual.ts';
import { type Payment, paymentStates } from '../payments/payment.ts';
import { inBangla } from '../payments/reason_text.ts';
import { paisa } from '../payments/taka.ts';
import { nano } from '../wallet/money.ts';
import { bangla } from './bangla.ts';
import { paymentMain } from './payment.ts';

/** Three words of Latin letters in a row; what is not to be translated, such as a TrxID, is left out. */
function englishIn(page: string): string | null {
  const text = page
    .replace(/<(\w+)[^>]*translate="no"[^>]*>.*?<\/\1>/gs, '')
    .replace(/<[^>]*>/g, '\n')
    .replaceAll('AK AI CORE', '');
  return /[A-Za-z]{2,}(?:[ ,;:]+[A-Za-z]{2,}){2,}/.exec(text)?.[0] ?? null;
}

/** Files in which a reason is made that a page may show, and sentences in them that none does. */
const files: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  bkash: [/BKASH_BASE_URL|must be set/],
  bkash_answer: [],
  bkash_codes: [
    /refund/,
    'bKash does not know the payment.',
    'bKash has not completed the payment.',
  ],
  bkash_tokens: [],
  claims: [/^You handed in/],
  correct: [/gives no credit|was not made|stands in the place/],
  limits: [
    /^There is no such account|(?:are|is) open: finish|were begun within|of that are left|^An account may/,
  ],
  manual: [/^In your|MANUAL_PAYMENTS/],
  nagad: [/NAGAD_BASE_URL|takes no invoice|is not known to keep|^Nagad needs/],
  // Of two forms each, which are among the others below.
  nagad_answer: ['Nagad says that the payment failedX7.'],
  nagad_api: [/^without a reason|^initialize:|^complete:/],
  reconcile: [/could not be looked at|the schedule of payments|PAID AND NOT/],
  settle: [
    /^Waiting for|^The payment (?:failed|was cancelled|was not made|needs to)|^ It will be credited/,
    /confirms the payment|^there is no payment|^Bonus for|^Credited to|^Top-up via/,
  ],
  uddoktapay: [/UDDOKTAPAY_|^Asked for at|^checkout-v2|no longer knows/],
  unmatched: [/^Say what|^Given to|^There is no such|^This payment is/],
  vouchers: [
    /^Voucher X7 of|was not answered|^There is no (?:batch|voucher X7)|expired already|^one an|^accounts of|^after a/,
  ],
  verdict: ['the amount is X7, not ৳X7'],
};
const others = [
  'Nagad says that the payment failed.',
  'Nagad says that the payment failed (F7).',
  'the amount is not named, not ৳500',
  'the amount is ৳450, not ৳500',
  'the invoice is not named, not AK7Q2M9X4D',
  'The e-mail address or the password is wrong.',
  'Too many attempts. Wait a while, then try again.',
  // Made where nearly all else is for the API only.
  'bKash does not answer at the moment.',
  'bKash knows transaction CK250NROQ5, but not which payment it is for: a person looks at it.',
];

/** Texts of three words and more in a source; in the place of what varies a word that no sentence has. */
function sentencesIn(source: string): string[] {
  const code = source
    .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    .replace(/sql(?:<[^`]*?>)?`(?:[^`\\]|\\.)*`/g, 'SQL');
  const texts = code.matchAll(
    /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:\$\{(?:[^{}`]|\{[^}]*\}|`[^`]*`)*\}|[^`\\])*)`/g,
  );
  return [...texts]
    .map(([, single, double, template]) => single ?? double ?? template ?? '')
    .map((text) => text.replace(/\$\{(?:[^{}`]|\{[^}]*\}|`[^`]*`)*\}/g, 'X7'))
    .filter(
      (text) => /[a-zA-Z]{2,}[ ,;:]+[a-zA-Z]+ +[a-zA-Z]+/.test(text) && !/^\s*INSERT/.test(text),
    );
}

function reasons(): string[] {
  const folder = join(import.meta.dirname, '../payments');
  return Object.entries(files).flatMap(([file, elsewhere]) =>
    sentencesIn(readFileSync(join(folder, `${file}.ts`), 'utf8')).filter(
      (text) =>
        !elsewhere.some((other) => (typeof other === 'string' ? text === other : other.test(text))),
    ),
  );
}

const payment: Payment = {
  id: '0199a000-0000-7000-8000-00000000abcd',
  userId: '0199a000-0000-7000-8000-00000000abce',
  wallet: 1,
  method: 'bkash',
  environment: 'sandbox',
  amount: paisa(50_000),
  fee: paisa(500),
  rate: 122_500_000,
  credit: nano(4_000_000_000),
  bonus: nano(100_000_000),
  rules: null,
  quotedUntil: new Date(),
  cause: 'user',
  corrects: null,
  invoice: 'AK7Q2M9X4D',
  createdAt: new Date(),
  state: 'pending',
  reason: null,
  providerId: 'TR0011',
  nonce: null,
  redirectUrl: 'https://example.com/pay',
  expiresAt: new Date(),
  captureAskedAt: null,
  trxId: 'CK250NROQ5',
  payerShown: null,
  paidAt: null,
  verifiedAt: null,
  transferId: null,
  heldUntil: new Date(),
  creditedAt: null,
  refunded: paisa(0),
  late: false,
  rejectedAt: null,
  askAt: null,
  asked: 0,
};

async function pageOf(changes: Partial<Payment>, why: string | null = null): Promise<string> {
  const shown = { ...payment, ...changes };
  const accounts = [
    { wallet: 'bkash', kind: 'send_money', number: '01712345678', note: '' },
  ] as const;
  const view = {
    payment: shown,
    methodName: shown.method === 'manual' ? 'Send Money' : 'bKash',
    instructions: shown.method === 'manual' ? manualInstructions(accounts, shown.amount) : [],
  };
  const given = { wallet: 'bkash', trxId: 'X', sender: '' };
  return String(await paymentMain('bn', view, why === null ? null : { why, given }));
}

test('every reason that a page may show is told in Bangla', () => {
  const all = [...reasons(), ...others];
  // Were the sources read wrongly, there would be few.
  assert.ok(all.length > 80, String(all.length));
  assert.deepEqual(
    all.filter((text) => inBangla(text) === null),
    [],
  );
});

test('no page of a payment in Bangla has an English sentence, in any state, for any reason', async () => {
  const all = [...reasons(), ...others, 'Insufficient balance, says the panel of somebody else'];
  for (const state of paymentStates)
    for (const method of ['bkash', 'manual'] as const)
      for (const reason of [null, ...all]) {
        const found = englishIn(await pageOf({ state, method, reason }));
        assert.equal(found, null, `${method} ${state}: ${reason}`);
      }
  for (const why of all) {
    const page = await pageOf({ method: 'manual' }, why);
    assert.match(page, /role="alert"/);
    assert.equal(englishIn(page), null, why);
  }
});

test('what does not fit is told piece by piece, and a person’s own words as they are', async () => {
  const wrong =
    'It was paid, but the amount is ৳450, not ৳500; the invoice is AB12CD34EF, not AK7Q2M9X4D.';
  const page = await pageOf({ state: 'needs_review', reason: wrong });
  assert.match(
    page,
    /টাকা এসেছে, কিন্তু পরিমাণ ৳450, হওয়ার কথা ৳500; ইনভয়েস AB12CD34EF, হওয়ার কথা AK7Q2M9X4D।/,
  );
  const rejected = {
    state: 'failed',
    reason: 'We found nothing of yours',
    rejectedAt: new Date(),
  } as const;
  assert.match(await pageOf(rejected), /পরিচালক লিখেছেন: “We found nothing of yours”/);
});

test('no text of the pages in Bangla is an English sentence', () => {
  for (const [key, text] of Object.entries(bangla)) assert.equal(englishIn(text), null, key);
});
