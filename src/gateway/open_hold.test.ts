/** What a provider says ends up on receipts: it must not make them unreadable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdOf, Ledgers } from '../../test/ledgers.ts';
import { nano } from '../wallet/money.ts';
import { Lengths } from './lengths.ts';
import { OpenHold, readableJson } from './open_hold.ts';
import type { Plan } from './plan.ts';

/** A request that needs exactly 100 nano-USD. */
const plan: Plan = {
  bound: { input: nano(100), outputPrice: 0 },
  allowedTokens: 1,
  choices: 1,
  isCapped: true,
  isExplicit: true,
  ceiling: null,
  wanted: nano(100),
  likely: nano(100),
  least: nano(100),
  most: nano(100),
};

test('a detail that PostgreSQL could not read again is stored so that it can', async () => {
  await using ledgers = await Ledgers.open();
  const { ledger } = await ledgers.start();
  const wallet = await ledgers.wallet(1000);
  const cost = { cost: nano(7), chargeable: nano(7), inputTokens: 1, outputTokens: 1 };
  for (const [said, stored] of [
    ['st\0op', 'st\ufffdop'],
    ['half \ud83d of it', 'half \ufffd of it'],
    ['a \\u0000 that is none, and 😀', 'a \\u0000 that is none, and 😀'],
  ]) {
    const asked = { ...holdOf(wallet, 100), keyId: crypto.randomUUID() };
    const hold = await OpenHold.take(ledger, { ...asked, plan, lengths: new Lengths() });
    const detail = readableJson({ finishReason: said });
    await hold.settle({
      outcome: 'settled',
      provider: 'test',
      model: asked.model,
      ...cost,
      detail,
    });
    const [row] = await ledgers.owner`
      SELECT detail ->> 'finishReason' AS reason FROM receipts WHERE id = ${asked.id}`;
    assert.equal(row?.reason, stored);
  }
});
