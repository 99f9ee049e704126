/**
 * What the clients saw, what the provider did and what the ledger says, held against each other. Each sentence of
 * `violations` is a defect and carries its evidence.
 */
import { formatUsd, nano } from '../../src/wallet/money.ts';
import type { ReceiptRow } from '../books.ts';
import type { Account } from './accounts.ts';
import type { Sighting } from './client.ts';
import { costOfUsage, estimate } from './prices.ts';
import type { Serving } from './provider.ts';
import { type Fault, graceMs, leaseMs } from './stage.ts';

export interface Receipt extends ReceiptRow {
  readonly id: string;
  readonly wallet: number;
  readonly key_id: string | null;
  readonly model: string;
}

interface Transfer {
  readonly id: string;
  readonly kind: 'charge' | 'loss';
  readonly debit: number;
  readonly amount: number;
}

export interface Facts {
  readonly accounts: readonly Account[];
  readonly sightings: readonly Sighting[];
  readonly servings: ReadonlyMap<number, readonly Serving[]>;
  readonly faults: readonly Fault[];
  readonly receipts: Receipt[];
  readonly transfers: Transfer[];
  readonly balances: { readonly id: number; readonly balance: number; readonly held: number }[];
  /** Of the audit. */
  readonly findings: readonly object[];
}

export interface Reconciliation {
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<Count, number>>;
}

export const countNames = [
  'requests',
  'complete',
  'partial',
  'refused',
  'nothing',
  'noMoney',
  'recovered',
  'released',
  /** Complete answers without a charge, and charged more than once: the two that must be 0. */
  'lost',
  'doubled',
  /** Settled, and the client got nothing of it: cut between the commit and the last write, or it had left. */
  'paidUnseen',
  /** Charged at the first checkpoint, and the client got nothing. */
  'checkpointUnseen',
  /** Answers that the provider gave and nobody paid: for the operator, each explained by a fault or a departure. */
  'unpaidServings',
] as const;
export type Count = (typeof countNames)[number];

/** One request with everything that is known of it. */
interface Case {
  readonly sighting: Sighting;
  readonly receipt: Receipt | null;
  readonly servings: readonly Serving[];
  readonly transfers: readonly Transfer[];
  readonly poor: boolean;
  /** What happened to its gateway, or to all, while it was open. */
  readonly faults: readonly Fault[];
}

/** What a fault does may show for so long after it: the lease runs out, pools connect again. */
const aftermathMs = leaseMs + graceMs + 1000;
/** A request whose client has left is still being settled for so long. */
const settlingMs = 1000;
/** Tokens of the first checkpoint of a stream. */
const firstCheckpoint = 256;

function joined(facts: Facts): { cases: Case[]; strangers: Receipt[] } {
  const byId = new Map(facts.receipts.map((receipt) => [receipt.id.replaceAll('-', ''), receipt]));
  const known = new Set(facts.sightings.map(({ requestId }) => requestId));
  const byKey = new Map(
    [...byId].filter(([id]) => !known.has(id)).map(([, receipt]) => [receipt.key_id, receipt]),
  );
  const poor = new Set(facts.accounts.filter((account) => account.poor).map(({ name }) => name));
  const used = new Set<Receipt>();
  const cases = facts.sightings.map((sighting): Case => {
    const { requestId, keyId, order, gateway } = sighting;
    const receipt = (requestId === null ? byKey.get(keyId) : byId.get(requestId)) ?? null;
    if (receipt) used.add(receipt);
    return {
      sighting,
      receipt,
      servings: facts.servings.get(order.n) ?? [],
      transfers: facts.transfers.filter(({ id }) => id === receipt?.id),
      poor: poor.has(sighting.account),
      faults: facts.faults.filter(
        (fault) =>
          (fault.gateway ?? gateway) === gateway &&
          fault.from <= sighting.endedAt + settlingMs &&
          fault.to + aftermathMs >= sighting.sentAt,
      ),
    };
  });
  return { cases, strangers: facts.receipts.filter((receipt) => !used.has(receipt)) };
}

type Rule = readonly [says: string, broken: (one: Case) => boolean];

const charged = ({ receipt }: Case): number => receipt?.charged ?? 0;
const isExplained = ({ sighting, faults }: Case): boolean => sighting.left || faults.length > 0;
const is =
  (...seen: Sighting['seen'][]) =>
  ({ sighting }: Case): boolean =>
    seen.includes(sighting.seen);
const hasOutcome =
  (...outcomes: Receipt['outcome'][]) =>
  ({ receipt }: Case): boolean =>
    receipt !== null && outcomes.includes(receipt.outcome);

/** What a receipt must cost by what it says of itself; null where no rule of ours says. */
function rightCost({ sighting: { order, bodyBytes }, receipt }: Case): number | null {
  if (!receipt) return null;
  if (receipt.outcome === 'released') return 0;
  if (receipt.outcome === 'recovered') {
    const { input_tokens: prompt, output_tokens: completion } = receipt;
    return costOfUsage(order.model, { prompt, cached: 0, completion });
  }
  if (receipt.outcome === 'settled') return order.usage && costOfUsage(order.model, order.usage);
  const said = { prompt: estimate(bodyBytes), cached: 0, completion: receipt.output_tokens };
  return costOfUsage(order.model, said);
}

const sent = ({ servings }: Case): number =>
  servings.reduce((most, { sentBytes }) => Math.max(most, sentBytes), 0);

/** Output tokens that a receipt may name: at least what the client got, at most what could be on its way. */
function tokensAreWrong(one: Case): boolean {
  const { receipt, sighting } = one;
  if (!receipt) return false;
  const got = estimate(sighting.contentBytes);
  const most = estimate(sent(one));
  const { outcome, output_tokens: tokens } = receipt;
  if (outcome === 'estimated') return tokens < got || tokens > most;
  // A checkpoint covers twice what has come from the provider.
  if (outcome === 'recovered' && charged(one) > 0)
    return tokens < got || tokens > Math.max(firstCheckpoint, most * 2);
  return false;
}

const rules: readonly Rule[] = [
  [
    'a complete answer is settled, once',
    (one) =>
      is('complete')(one) &&
      (!hasOutcome('settled', 'estimated')(one) ||
        one.transfers.filter(({ kind }) => kind === 'charge').length !== 1),
  ],
  [
    'a complete answer comes from a complete answer of the provider, or says that the money ended',
    (one) =>
      is('complete')(one) &&
      one.sighting.endedBy === null &&
      one.servings.filter(({ finished }) => finished).length !== 1,
  ],
  [
    'a receipt costs what its usage costs',
    (one) => one.receipt !== null && rightCost(one) !== one.receipt.cost,
  ],
  [
    'a wallet pays all of it, unless it has not got it',
    (one) => one.receipt !== null && one.receipt.charged !== one.receipt.cost && !one.poor,
  ],
  [
    'what is charged is transferred, and what is not is the operator’s loss',
    ({ receipt, transfers }) => {
      const sum = (wanted: Transfer['kind']): number =>
        transfers.reduce((total, { kind, amount }) => total + (kind === wanted ? amount : 0), 0);
      return (
        receipt !== null &&
        (sum('charge') !== receipt.charged || sum('loss') !== receipt.cost - receipt.charged)
      );
    },
  ],
  [
    'the answer says what was charged',
    (one) =>
      one.sighting.cost !== null &&
      formatUsd(nano(charged(one))) !== formatUsd(nano(Math.round(one.sighting.cost * 1e9))),
  ],
  ['a refusal is free', (one) => is('refused')(one) && hasOutcome('settled', 'estimated')(one)],
  [
    'a refusal is free, but for the first checkpoint of a stream that was lost',
    (one) =>
      is('refused')(one) &&
      charged(one) > 0 &&
      !(one.sighting.order.stream && one.faults.length > 0),
  ],
  [
    'what never arrived is free, unless it was cut off between commit and delivery',
    (one) => is('nothing')(one) && charged(one) > 0 && !isExplained(one),
  ],
  ['what was delivered has a receipt', (one) => is('complete', 'partial')(one) && !one.receipt],
  [
    'what was delivered is not free without a reason',
    (one) =>
      is('partial')(one) &&
      hasOutcome('released')(one) &&
      one.sighting.contentBytes > 0 &&
      one.sighting.order.ending === 'whole' &&
      one.faults.length === 0,
  ],
  ['a charge without usage is for what was on its way', tokensAreWrong],
  [
    'only a fault leads to recovery',
    (one) => hasOutcome('recovered')(one) && one.faults.length === 0,
  ],
  ['the provider is asked once', ({ servings }) => servings.length > 1],
  [
    'a provider’s whole answer is paid, or a fault or the client’s leaving explains why not',
    (one) =>
      one.servings.some(({ finished }) => finished) &&
      !hasOutcome('settled', 'estimated')(one) &&
      !isExplained(one) &&
      one.sighting.code !== 'insufficient_credits',
  ],
  [
    'a wallet with money is never told that it has none',
    (one) => one.sighting.status === 402 && !one.poor,
  ],
  [
    'nobody is refused without a reason',
    (one) =>
      is('refused', 'nothing')(one) &&
      one.sighting.status !== 402 &&
      one.sighting.order.ending === 'whole' &&
      one.sighting.order.kind !== 'stream that breaks' &&
      !isExplained(one),
  ],
];

function evidence(one: Case): string {
  const { sighting, receipt, servings, transfers, faults } = one;
  return [sighting, receipt, transfers, servings, faults]
    .map((part) => `\n      ${JSON.stringify(part)}`)
    .join('');
}

/** Every wallet has what it began with, less what its receipts charge. */
function wrongBalances({ accounts, balances, receipts }: Facts): string[] {
  return accounts.flatMap(({ name, walletId, credit }) => {
    const row = balances.find(({ id }) => id === walletId);
    const spent = receipts
      .filter(({ wallet }) => wallet === walletId)
      .reduce((sum, receipt) => sum + receipt.charged, 0);
    if (row && row.balance === credit - spent && row.held === 0) return [];
    return [`wallet of ${name}: ${credit} less ${spent} is not ${JSON.stringify(row)}`];
  });
}

function countCases(cases: readonly Case[]): Record<Count, number> {
  const count = (test: (one: Case) => boolean): number => cases.filter(test).length;
  const isSettled = hasOutcome('settled', 'estimated');
  const chargesOf = (one: Case): number =>
    one.transfers.filter(({ kind }) => kind === 'charge').length;
  return {
    requests: cases.length,
    complete: count(is('complete')),
    partial: count(is('partial')),
    refused: count(is('refused')),
    nothing: count(is('nothing')),
    noMoney: count(({ sighting }) => sighting.status === 402),
    recovered: count(hasOutcome('recovered')),
    released: count(hasOutcome('released')),
    lost: count((one) => is('complete')(one) && chargesOf(one) === 0),
    doubled: count((one) => chargesOf(one) > 1),
    paidUnseen: count((one) => is('nothing', 'refused')(one) && isSettled(one) && charged(one) > 0),
    checkpointUnseen: count(
      (one) => is('nothing', 'refused')(one) && hasOutcome('recovered')(one) && charged(one) > 0,
    ),
    unpaidServings: count(
      (one) => one.servings.some(({ finished }) => finished) && !isSettled(one),
    ),
  };
}

export function reconcile(facts: Facts): Reconciliation {
  const { cases, strangers } = joined(facts);
  const broken = cases.flatMap((one) =>
    rules
      .filter(([, isBroken]) => isBroken(one))
      .map(([says]) => `broken: ${says}${evidence(one)}`),
  );
  return {
    violations: [
      ...broken,
      ...strangers.map((receipt) => `a receipt of no request: ${JSON.stringify(receipt)}`),
      ...wrongBalances(facts),
      ...facts.findings.map((finding) => `audit: ${JSON.stringify(finding)}`),
    ],
    counts: countCases(cases),
  };
}
