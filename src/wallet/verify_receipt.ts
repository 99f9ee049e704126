/**
 * Checks a signed receipt by itself, without network or database: signature, prices, sums, rounding, limits. It shares no
 * arithmetic with the gateway, so that an error there is seen here.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { receiptFormat, rounding, signedText } from './receipt_form.ts';

export interface Verdict {
  /** What does not fit, one sentence each; empty: all of it does. */
  readonly faults: readonly string[];
  /** What was checked and found right. */
  readonly checked: readonly string[];
  readonly keyId: string;
}

const usd = z.string().regex(/^(0|[1-9]\d*)(\.\d{0,11}[1-9])?$/);
const amount = z.string().regex(/^(0|[1-9]\d*)(\.\d{0,8}[1-9])?$/);
const tokens = z.int().min(0);
const text = z.string();
const moment = z.iso.datetime();
const prices = z.record(text, usd);
const Receipt = z.strictObject({
  id: z.string().regex(/^chatcmpl-[0-9a-f]{32}$/),
  request_id: z.string().regex(/^req_[0-9a-f]{32}$/),
  created_at: moment,
  settled_at: moment,
  key_id: text.nullable(),
  model: text,
  provider: text.nullable(),
  upstream_model: text.nullable(),
  outcome: z.enum(['settled', 'estimated', 'recovered', 'released']),
  reason: text.nullable(),
  finish_reason: text.nullable(),
  usage_reported_by: z.enum(['provider', 'estimate', 'checkpoint']).nullable(),
  flags: z.array(text),
  tokens_prompt: tokens,
  tokens_completion: tokens,
  lines: z.array(z.strictObject({ class: text, count: tokens, usd_each: usd, usd })),
  price_version: text.nullable(),
  price_list: z
    .strictObject({
      prices,
      tiers: z.array(z.strictObject({ above_prompt_tokens: tokens, prices })),
    })
    .nullable(),
  rounding: z.literal(rounding),
  cost_unrounded: usd,
  cost: amount,
  charged: amount,
  paid_by_operator: amount,
  refunded: amount,
  refund_reason: text.nullable(),
  hold: amount,
  first_byte_ms: tokens.nullable(),
  total_ms: tokens,
  attempts: tokens,
  failed_attempts: z.array(
    z.strictObject({ provider: text, result: z.enum(['rejected', 'rate_limited', 'unavailable']) }),
  ),
  own_key: z.literal(true).optional(),
  list_cost: amount.optional(),
});
const Signed = z.strictObject({
  format: z.literal(receiptFormat),
  receipt: Receipt,
  signature: z.strictObject({
    algorithm: z.literal('Ed25519'),
    key_id: text,
    public_key: text,
    value: text,
  }),
});
type Receipt = z.infer<typeof Receipt>;

const picoDigits = 12;
/** Hexadecimal digits of an id that are its moment, in ms. */
const timeDigits = 12;

/** Decimal USD → pico-USD. */
function pico(decimal: string): bigint {
  const point = decimal.indexOf('.');
  if (point < 0) return BigInt(decimal) * 10n ** BigInt(picoDigits);
  const fraction = decimal.slice(point + 1).padEnd(picoDigits, '0');
  return BigInt(decimal.slice(0, point) + fraction);
}

/** Up to the next nano-USD, still as pico-USD. */
function roundedUp(exact: bigint): bigint {
  return ((exact + 999n) / 1000n) * 1000n;
}

/** What costs what something else costs where it has no price of its own. */
const substitutes: ReadonlyMap<string, readonly string[]> = new Map([
  ['input', ['input']],
  ['cacheRead', ['cacheRead', 'input']],
  ['cacheWrite', ['cacheWrite', 'input']],
  ['cacheWrite1h', ['cacheWrite1h', 'cacheWrite', 'input']],
  ['imageInput', ['imageInput', 'input']],
  ['audioInput', ['audioInput', 'input']],
  ['output', ['output']],
  ['reasoning', ['reasoning', 'output']],
  ['imageOutput', ['imageOutput', 'output']],
  ['audioOutput', ['audioOutput', 'output']],
  ['request', ['request']],
]);
const outputClasses = new Set(['output', 'reasoning', 'imageOutput', 'audioOutput']);

type Say = (isRight: boolean, claim: string) => void;

/** The prices of the list that hold for a prompt of this length. */
function pricesFor({ price_list, tokens_prompt }: Receipt): Readonly<Record<string, string>> {
  if (!price_list) return {};
  let held = price_list.prices;
  let above = -1;
  for (const tier of price_list.tiers) {
    if (tokens_prompt <= tier.above_prompt_tokens || tier.above_prompt_tokens <= above) continue;
    above = tier.above_prompt_tokens;
    held = tier.prices;
  }
  return held;
}

function checkLines(receipt: Receipt, say: Say): void {
  const { lines, price_list, tokens_prompt, tokens_completion } = receipt;
  const listed = pricesFor(receipt);
  let prompt = 0;
  let completion = 0;
  let sum = 0n;
  for (const line of lines) {
    const name = line.class;
    const own = pico(line.usd);
    sum += own;
    say(own === BigInt(line.count) * pico(line.usd_each), `line ${name}: count × price`);
    const source = substitutes.get(name)?.find((other) => Object.hasOwn(listed, other));
    if (price_list) {
      const isListed = source !== undefined && listed[source] === line.usd_each;
      say(isListed, `line ${name}: the price is the one of the price list`);
    } else say(substitutes.has(name), `line ${name}: a class that there is`);
    if (name === 'request') say(line.count === 1, 'line request: one request');
    else if (outputClasses.has(name)) completion += line.count;
    else prompt += line.count;
  }
  const names = lines.map((line) => line.class);
  say(new Set(names).size === names.length, 'each class has one line');
  say(prompt === tokens_prompt, 'tokens_prompt is the sum of its lines');
  say(completion === tokens_completion, 'tokens_completion is the sum of its lines');
  if (listed.request && pico(listed.request) > 0n)
    say(names.includes('request'), 'the fee for the request has its line');
  say(pico(receipt.cost_unrounded) === sum, 'cost_unrounded is the sum of the lines');
}

/** What does not fit in a receipt's numbers, its signature aside. @throws ZodError for what has not the form of a receipt */
export function wrongSums(receipt: unknown): readonly string[] {
  const faults: string[] = [];
  checkSums(Receipt.parse(receipt), (isRight, claim) => {
    if (!isRight) faults.push(claim);
  });
  return faults;
}

function checkSums(receipt: Receipt, say: Say): void {
  const { outcome, lines, usage_reported_by } = receipt;
  const cost = pico(receipt.cost);
  const charged = pico(receipt.charged);
  // A checkpoint of before they said by which prices names none.
  const isPriced = outcome === 'recovered' && receipt.price_version !== null;
  const isMetered = outcome === 'settled' || outcome === 'estimated' || isPriced;
  if (isMetered) checkLines(receipt, say);
  else say(lines.length === 0, 'what was not metered has no lines');
  if (outcome === 'released') say(cost === 0n && charged === 0n, 'what was released is free');
  const reporter = {
    settled: 'provider',
    estimated: 'estimate',
    recovered: 'checkpoint',
    released: null,
  }[outcome];
  say(usage_reported_by === reporter, 'outcome and usage_reported_by agree');
  say(cost === roundedUp(pico(receipt.cost_unrounded)), 'cost is cost_unrounded, rounded up once');
  say(charged <= cost, 'the charge is not above the cost');
  say(charged <= pico(receipt.hold), 'the charge is not above the hold');
  say(charged + pico(receipt.paid_by_operator) === cost, 'charge and operator’s part are the cost');
  say(pico(receipt.refunded) <= charged, 'the refund is not above the charge');
  const isAnswered = receipt.provider !== null;
  const calls = receipt.failed_attempts.length + (isAnswered ? 1 : 0);
  say(receipt.attempts === calls, 'attempts are counted');
  const [, plain = ''] = receipt.id.split('-');
  say(receipt.request_id === `req_${plain}`, 'id and request_id are of one request');
  const created = new Date(Number.parseInt(plain.slice(0, timeDigits), 16));
  say(receipt.created_at === created.toISOString(), 'created_at is the moment of the id');
}

function rawKey(base64url: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64url }, format: 'jwk' });
}

function keyIdOf(base64url: string): string {
  const bytes = Buffer.from(base64url, 'base64url');
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

const File = z.object({ keys: z.array(z.object({ public_key: text })) });

/** Public keys in a file: what the installation serves, PEM, or the base64url text alone. @throws Error for anything else */
function trustedKeys(file: string): string[] {
  const trimmed = file.trim();
  if (trimmed.startsWith('{'))
    return File.parse(JSON.parse(trimmed)).keys.map(({ public_key }) => public_key);
  const key = trimmed.startsWith('-----') ? createPublicKey(trimmed) : rawKey(trimmed);
  return [String(key.export({ format: 'jwk' }).x)];
}

function checkSignature({ receipt, signature }: z.infer<typeof Signed>, say: Say): void {
  const { key_id, public_key, value } = signature;
  say(key_id === keyIdOf(public_key), 'the id of the key is that of the key');
  const bytes = Buffer.from(value, 'base64url');
  // Another spelling of the same bytes is still a change.
  const isPlain = [value, public_key].every(
    (text) => Buffer.from(text, 'base64url').toString('base64url') === text,
  );
  let isRight = false;
  try {
    isRight = isPlain && verify(null, Buffer.from(signedText(receipt)), rawKey(public_key), bytes);
  } catch {
    // A key that cannot be read has signed nothing.
  }
  say(isRight, 'the signature fits the content');
}

const stringOrBlanks = /("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+/g;

/**
 * Blanks aside, the service writes each content in one way. Another may show other readers something else than was checked
 * here: a member that stands there twice, or one that programs take for no member.
 */
function isOurWriting(file: string, content: unknown): boolean {
  const compact = file.replace(stringOrBlanks, '$1');
  return compact === JSON.stringify(content) && !compact.includes('"__proto__":');
}

/**
 * @param file the text of a signed receipt
 * @param keyFile the text of a file with the installation's public keys; null to take the key that the receipt carries
 * @throws Error for a key file that cannot be read
 */
export function verifyReceipt(file: string, keyFile: string | null): Verdict {
  const faults: string[] = [];
  const checked: string[] = [];
  const say: Say = (isRight, claim) => {
    if (isRight) checked.push(claim);
    else faults.push(`not true that ${claim}`);
  };
  let content: unknown;
  try {
    content = JSON.parse(file);
  } catch {
    return { faults: ['it is not JSON'], checked, keyId: '' };
  }
  const parsed = Signed.safeParse(content);
  if (!parsed.success) {
    const places = parsed.error.issues.map(
      ({ path, message }) => `${path.join('.') || 'the whole'}: ${message}`,
    );
    return { faults: places, checked, keyId: '' };
  }
  const { receipt, signature } = parsed.data;
  if (!isOurWriting(file, content))
    return { faults: ['the file was not written by this service'], checked, keyId: '' };
  checkSignature(parsed.data, say);
  if (keyFile !== null)
    say(
      trustedKeys(keyFile).includes(signature.public_key),
      'the key is one of the installation’s',
    );
  checkSums(receipt, say);
  return { faults, checked, keyId: signature.key_id };
}
