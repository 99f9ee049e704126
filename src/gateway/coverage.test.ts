/**
 * Random streams that die at random: what recovery charges each is what its receipt's lines cost, at the prices of the offer that
 * had begun to answer; neither the hold nor what the client is to pay at most is exceeded.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Random } from '../../test/crash/random.ts';
import { Ledgers } from '../../test/ledgers.ts';
import { expectedCost, randomOffer, type Sold } from '../../test/random_offers.ts';
import { until } from '../../test/scratch_data.ts';
import { levelFor } from '../catalogue/prices.ts';
import { timeOrderedId } from '../ids.ts';
import type { Ledger } from '../wallet/ledger.ts';
import type { Nano } from '../wallet/money.ts';
import { rememberPrices } from '../wallet/price_versions.ts';
import { publicReceipt } from '../wallet/receipt_form.ts';
import { findReceipt } from '../wallet/receipts.ts';
import { wrongSums } from '../wallet/verify_receipt.ts';
import { Coverage } from './coverage.ts';
import { basisOf } from './explanation.ts';
import { Lengths } from './lengths.ts';
import { boundOf, checkpointPrices } from './meter.ts';
import { OpenHold } from './open_hold.ts';
import { costWith, type Plan } from './plan.ts';

const streams = 160;
const seed = Date.now() % 1_000_000;
const random = new Random(seed);
const lengths = new Lengths();
/** As asked for; every other stream is answered by the model `acme/one`. */
const model = 'acme/two';

let ledgers: Ledgers;
before(async () => {
  ledgers = await Ledgers.open();
});
after(() => ledgers[Symbol.asyncDispose]());

interface Stream {
  readonly id: string;
  readonly wallet: number;
  readonly sold: Sold;
  readonly most: Nano;
  readonly failed: boolean;
  readonly coverage: Coverage;
}

/** Some are asked for less than is covered first, some have a wallet that is soon used up. */
function randomPlan({ offer }: Sold, inputTokens: number): Plan {
  const bound = boundOf([offer], inputTokens + random.integer(0, 2000));
  const allowedTokens = random.pick([1, 10, 255, 5000, 100_000]);
  const most = costWith(bound, allowedTokens);
  const isCapped = random.chance(0.3);
  const least = costWith(bound, Math.min(16, allowedTokens));
  const wanted = isCapped
    ? most
    : costWith(bound, Math.min(allowedTokens, random.integer(16, 600)));
  return {
    bound,
    allowedTokens,
    choices: 1,
    isCapped,
    isExplicit: false,
    ceiling: null,
    wanted,
    likely: wanted,
    least,
    most,
  };
}

async function randomStream(ledger: Ledger): Promise<Stream> {
  const sold = randomOffer(random, random.pick(['acme/one', model]));
  const { offer } = sold;
  await rememberPrices(ledgers.database.sql, [offer]);
  const inputTokens = random.integer(1, random.pick([10, 1000, 30_000]));
  const plan = randomPlan(sold, inputTokens);
  const { wanted, most } = plan;
  const wallet = await ledgers.wallet(random.pick([wanted, wanted + 1000, most]) + 1000);
  const id = timeOrderedId();
  const keyId = crypto.randomUUID();
  const hold = await OpenHold.take(ledger, { id, walletId: wallet, keyId, model, plan, lengths });
  const { prices, text } = checkpointPrices(levelFor(offer.levels, inputTokens));
  const failed = random.chance(0.2);
  const attempts = failed ? [{ provider: 'other', status: 503, reason: 'busy "\\ \0' }] : [];
  const basis = basisOf(performance.now(), offer, attempts, model, text);
  const coverage = new Coverage(ledger, hold, { id, inputTokens, prices, most, basis });
  await coverage.raise(0);
  for (let more = random.integer(0, 4); more > 0; more -= 1)
    await coverage.raise(random.integer(0, 20_000));
  return { id, wallet, sold, most, failed, coverage };
}

/** What the receipts of all lines that were seen were for. */
const seen = new Set<string>();

async function prove({ id, wallet, sold, most, failed, coverage }: Stream): Promise<boolean> {
  const receipt = await findReceipt(ledgers.database.sql, wallet, id);
  assert.ok(receipt);
  const shown = publicReceipt(receipt);
  const context = (): string => `seed ${seed}: ${JSON.stringify({ shown, most })}`;
  assert.deepEqual(wrongSums(shown), [], context());
  const counts = new Map(shown.lines.map((line) => [line.class, line.count]));
  if (receipt.outcome === 'released') {
    const covered = { input: receipt.inputTokens, output: receipt.outputTokens };
    assert.equal(receipt.charged, 0, context());
    assert.equal(expectedCost(sold, covered), 0n, context());
    return false;
  }
  assert.equal(receipt.outcome, 'recovered');
  assert.deepEqual(
    [shown.model, shown.provider, shown.upstream_model, shown.price_version],
    [sold.offer.model, 'acme', 'one', sold.offer.priceVersion],
    context(),
  );
  const { request: _, ...classes } = Object.fromEntries(counts);
  assert.equal(BigInt(receipt.charged), expectedCost(sold, classes), context());
  assert.equal(receipt.cost, receipt.charged, context());
  assert.ok(receipt.charged <= most && receipt.charged <= receipt.held, context());
  assert.equal(shown.attempts, failed ? 2 : 1);
  assert.ok(shown.first_byte_ms !== null);
  // Fewer tokens than were covered: only where one more would cost what the client is not to pay.
  const covered = coverage.bytes / 4;
  assert.ok(shown.tokens_completion <= covered, context());
  if (shown.tokens_completion < covered) {
    const name = counts.has('reasoning') ? 'reasoning' : 'output';
    const level = levelFor(sold.offer.levels, shown.tokens_prompt).applied;
    const dearer = level.reasoning > level.output ? 'reasoning' : 'output';
    if (shown.tokens_completion > 0) assert.equal(name, dearer, context());
    const more = { ...classes, [dearer]: shown.tokens_completion + 1 };
    assert.ok(expectedCost(sold, more) > BigInt(most), context());
    seen.add('capped');
  }
  for (const name of counts.keys()) seen.add(name);
  if (coverage.exhausted) seen.add('exhausted');
  return true;
}

test(`${streams} random streams are recovered, of processes that died and of one that lives (seed ${seed})`, async () => {
  const dying = await ledgers.start();
  const living = await ledgers.start({ leaseMs: 600 });
  const all: Stream[] = [];
  while (all.length < streams) {
    const some = [dying, living].map(({ ledger }) => randomStream(ledger));
    all.push(...(await Promise.all(some)));
  }
  for (const { id } of all) living.ledger.forget(id, false);
  await until('the living process has ended what is over', async () => {
    const rows = await ledgers.owner`SELECT 1 FROM holds WHERE instance = ${living.lease.instance}`;
    return rows.length === 0;
  });
  // What the journal has and the database has not is another test's.
  await dying.ledger.checkpoints.close();
  await dying.expire(1000);
  await until('the dead process is recovered', async () => {
    await living.lease.recover();
    return (await ledgers.owner`SELECT 1 FROM holds`).length === 0;
  });
  let paid = 0;
  for (const stream of all) if (await prove(stream)) paid += 1;
  assert.ok(paid > streams / 2, `${paid} were paid`);
  const kinds = ['capped', 'exhausted', 'input', 'output', 'reasoning', 'request'];
  assert.deepEqual([...seen].sort(), kinds);
});
