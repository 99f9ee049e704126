/**
 * 100,000 random receipts: what the gateway charges, what the verifier makes of the receipt, and what the test works out from
 * the catalogue's text and the provider's numbers, all in integers of any size, are the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../test/crash/random.ts';
import { expectedCost, priceOf, randomOffer } from '../../test/random_offers.ts';
import { readUsage } from '../dialects/openai.ts';
import { promptTokens } from '../dialects/usage.ts';
import { timeOrderedId } from '../ids.ts';
import { nano } from '../wallet/money.ts';
import { publicReceipt } from '../wallet/receipt_form.ts';
import { wrongSums } from '../wallet/verify_receipt.ts';
import { explanation } from './explanation.ts';
import { boundOf, priceUsage } from './meter.ts';

const receipts = 100_000;
const receiptsOfAnOffer = 50;
const seed = Date.now() % 1_000_000;
const random = new Random(seed);

/** What a provider says, and how many tokens of each class it thereby means. */
interface Said {
  readonly json: object;
  readonly cacheCounted: 'inside' | 'outside';
  readonly completionExcludesReasoning: boolean;
  readonly classes: Readonly<Record<string, number>>;
}

const upTo = (most: number): number => (random.chance(0.4) ? 0 : random.integer(0, most));

function randomUsage(): Said {
  const size = random.pick([10, 1000, 100_000, 1_000_000]);
  const classes = {
    input: random.integer(1, size),
    cacheRead: upTo(size),
    cacheWrite: upTo(size),
    cacheWrite1h: upTo(size),
    imageInput: upTo(size),
    audioInput: upTo(size),
    output: random.integer(0, size),
    reasoning: upTo(size),
    imageOutput: upTo(size),
    audioOutput: upTo(size),
  };
  const { input, cacheRead, cacheWrite, cacheWrite1h, imageInput, audioInput } = classes;
  const { output, reasoning, imageOutput, audioOutput } = classes;
  const cacheCounted = random.pick(['inside', 'outside'] as const);
  const completionExcludesReasoning = random.chance(0.3);
  const cached = cacheRead + cacheWrite + cacheWrite1h;
  const fresh = input + imageInput + audioInput;
  const visible = output + imageOutput + audioOutput;
  const prompt = cacheCounted === 'inside' ? fresh + cached : fresh;
  const json = {
    prompt_tokens: prompt,
    completion_tokens: completionExcludesReasoning ? visible : visible + reasoning,
    total_tokens: prompt + visible + reasoning,
    prompt_tokens_details: {
      cached_tokens: cacheRead,
      cache_write_tokens: cacheWrite + cacheWrite1h,
      image_tokens: imageInput,
      audio_tokens: audioInput,
      cache_creation: { ephemeral_1h_input_tokens: cacheWrite1h },
    },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      image_tokens: imageOutput,
      audio_tokens: audioOutput,
    },
  };
  return { json, cacheCounted, completionExcludesReasoning, classes };
}

test(`${receipts.toLocaleString('en')} random receipts, recomputed twice (seed ${seed})`, () => {
  let sold = randomOffer(random);
  let tiered = 0;
  const seen = new Set<string>();
  for (let i = 0; i < receipts; i += 1) {
    if (i % receiptsOfAnOffer === 0) sold = randomOffer(random);
    const said = randomUsage();
    const context = () =>
      `seed ${seed}, receipt ${i}: ${JSON.stringify({ prices: sold.priceList, said })}`;
    const usage = readUsage(said.json, said);
    if (!usage) assert.fail(context());
    const { cost, level } = priceUsage(usage, sold.offer);
    if (BigInt(cost) !== expectedCost(sold, said.classes)) assert.fail(context());
    const bound = boundOf([sold.offer], promptTokens(usage));
    const most = Number(bound.input) + Math.ceil((usage.output * bound.outputPrice) / 1000);
    if (cost > most) assert.fail(context());
    const charged = nano(random.chance(0.2) ? Math.floor(cost / 2) : cost);
    const detail = explanation({ startedAt: 0, answeredAt: 0 }, sold, [], usage, level, {
      asked: sold.offer.model,
      finishReason: 'stop',
      reason: null,
      reportedBy: 'provider',
    });
    const shown = publicReceipt({
      id: timeOrderedId(),
      keyId: null,
      model: 'acme/one',
      provider: 'acme',
      outcome: 'settled',
      inputTokens: promptTokens(usage),
      outputTokens: usage.output,
      cost,
      charged,
      held: nano(charged + random.integer(0, 1000)),
      refunded: nano(random.chance(0.1) ? charged : 0),
      refundNote: null,
      settledAt: new Date(),
      detail: JSON.parse(detail),
      priceList: sold.priceList,
    });
    const faults = wrongSums(shown);
    if (faults.length > 0) assert.fail(`${faults.join()} ${context()}`);
    if (level.aboveInputTokens > 0) tiered += 1;
    for (const line of shown.lines) seen.add(line.class);
  }
  assert.ok(tiered > receipts / 20, 'hardly any receipt was of a tier');
  assert.deepEqual([...seen].sort(), Object.keys(priceOf).sort());
});
