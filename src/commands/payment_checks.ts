/** What `akai doctor` says of payments: which ways to pay are open, and what waits for a person. */
import { installationSecret } from '../accounts/secret.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { isOffered } from '../payments/offered.ts';
import { deskOfCommand } from '../payments/open.ts';
import { paymentsState } from '../payments/payments_state.ts';
import { currentRules } from '../payments/rules.ts';
import { type Check, ok, warning } from './check.ts';

export async function paymentChecks(sql: Sql, config: Config): Promise<Check[]> {
  const desk = await deskOfCommand({
    ...{ config, sql, secret: await installationSecret(config) },
    origin: () => config.publicUrl,
    log: () => {},
    changed: async () => {},
  });
  const { content } = await currentRules(sql);
  const states = [...desk.methods.values()].map((method) => {
    const { name, available } = method;
    if (available !== true) return `${name} is off (${available.why})`;
    return isOffered(content, method) ? `${name} is on` : `${name} is switched off by the rules`;
  });
  return [waysToPay(config, states), await waiting(sql)];
}

function waysToPay({ mode }: Config, states: readonly string[]): Check {
  const name = 'Ways to pay';
  const detail = states.join('; ');
  const isNone = !states.some((state) => state.endsWith(' is on'));
  if (mode === 'sandbox' || !isNone) return ok(name, detail);
  const advice = 'Nobody can top up: set up a payment provider, as docs/self-hosting.md says.';
  return warning(name, detail, advice);
}

async function waiting(sql: Sql): Promise<Check> {
  const name = 'Payments';
  const { open, needsReview, uncredited, refundsOpen, unmatched, differences } =
    await paymentsState(sql);
  const counts = [
    [needsReview, 'to review'],
    [uncredited, 'paid without credit'],
    [refundsOpen, 'refunds open'],
    [unmatched, 'unmatched receipts'],
    [differences, 'differences to providers'],
  ] as const;
  const some = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  const detail = [`${open} open`, ...some].join(', ');
  if (some.length === 0) return ok(name, detail);
  const advice =
    'Look with: akai payment review, akai payment refunds, akai payment unmatched, akai payment compare.';
  return warning(name, detail, advice);
}
