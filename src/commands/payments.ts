/** `akai payment …`: what the operator sees of payments and decides about them. */
import { userInfo } from 'node:os';
import type { ParseArgsOptionsConfig } from 'node:util';
import { installationSecret } from '../accounts/secret.ts';
import type { Config } from '../config.ts';
import { openDatabase } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { isUuid } from '../ids.ts';
import {
  differenceJson,
  paymentJson,
  receiptJson,
  refundJson,
  reviewJson,
  timelineJson,
} from '../payments/admin_json.ts';
import { compareCredited, differences } from '../payments/compare.ts';
import type { Desk } from '../payments/desk.ts';
import type { MethodId, Paisa } from '../payments/method.ts';
import { type PaymentState, paymentStates } from '../payments/payment.ts';
import { refundPayment, settleRefund } from '../payments/refund.ts';
import {
  acceptPayment,
  attachProviderId,
  checkNow,
  existing,
  rejectPayment,
} from '../payments/review.ts';
import {
  evidenceOf,
  listPayments,
  listRefunds,
  paymentsToReview,
} from '../payments/review_list.ts';
import { changesFrom, currentRules, setRules } from '../payments/rules.ts';
import { formatTaka, parseTaka, TakaError } from '../payments/taka.ts';
import { tellOwner } from '../payments/tell_owner.ts';
import { resolveReceipt, unmatchedReceipts } from '../payments/unmatched.ts';
import { readMoment } from './moment.ts';
import { agreedAmount } from './payment_agreed.ts';
import { paymentStory } from './payment_story.ts';
import { paymentLine, paymentSaid, refundLine, refundSaid, reviewLines } from './payment_texts.ts';
import type { Said } from './said.ts';

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

interface PaymentCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

/** What the handlers need. */
interface Work {
  readonly desk: Desk;
  readonly given: Given;
  /** The text of an option; null where it was not given. */
  readonly option: (name: string) => string | null;
  /** Who does it, for the timeline. */
  readonly who: string;
}

const string = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

export const paymentCommands: Readonly<Record<string, PaymentCommand>> = {
  'payment list': {
    usage:
      '[--state STATE] [--method METHOD] [--email ADDRESS] [--search TEXT] [--before ID] [--limit NUMBER]',
    sentence:
      'List payments, the latest first; --search takes a TrxID, an invoice or an id at the provider.',
    options: {
      state: string,
      method: string,
      email: string,
      search: string,
      before: string,
      limit: string,
    },
    run: withDesk(list),
  },
  'payment review': {
    usage: '[--limit NUMBER]',
    sentence: 'List payments that need a person, with what was claimed, and by whom else.',
    options: { limit: string },
    run: withDesk(review),
  },
  'payment show': {
    usage: '--id ID',
    sentence: 'Show a payment, its refunds, and all that ever happened to it.',
    options: { id: string },
    run: withDesk(show),
  },
  'payment check': {
    usage: '--id ID [--by NAME]',
    sentence: 'Ask the provider about a payment now, and do what follows.',
    options: { id: string, by: string },
    run: withDesk(async ({ desk, option, who }) =>
      paymentSaid(await checkNow(desk, idIn(option), who)),
    ),
  },
  'payment accept': {
    usage: '--id ID --taka AMOUNT [--trx TRXID] [--received-at ISO-DATE] [--yes] [--by NAME]',
    sentence:
      'Credit what came in for a payment that needs a person; large ones by hand need two. Another amount than was ordered is asked about.',
    options: {
      id: string,
      taka: string,
      trx: string,
      'received-at': string,
      yes: flag,
      by: string,
    },
    run: withDesk(accept),
  },
  'payment reject': {
    usage: '--id ID --reason TEXT [--by NAME]',
    sentence: 'Say no to a payment that needs a person; its owner reads the reason.',
    options: { id: string, reason: string, by: string },
    run: withDesk(async ({ desk, option, who }) =>
      paymentSaid(
        await rejectPayment(desk, { paymentId: idIn(option), reason: option('reason') ?? '', who }),
      ),
    ),
  },
  'payment attach': {
    usage: '--id ID --provider-id TEXT [--by NAME]',
    sentence:
      "Tell a payment its id at the provider, such as UddoktaPay's invoice id, which is then asked.",
    options: { id: string, 'provider-id': string, by: string },
    run: withDesk(async ({ desk, option, who }) => {
      const providerId = needed(option, 'provider-id');
      return paymentSaid(
        await attachProviderId(desk, { paymentId: idIn(option), providerId, who }),
      );
    }),
  },
  'payment refund': {
    usage: '--id ID --reason TEXT [--taka AMOUNT] [--keep-vouchers] [--by NAME]',
    sentence: 'Give a payment back, or a part of it, as far as its credit is unspent.',
    options: { id: string, reason: string, taka: string, 'keep-vouchers': flag, by: string },
    run: withDesk(refund),
  },
  'payment refunds': {
    usage: '[--id ID] [--open] [--limit NUMBER]',
    sentence:
      'List refunds, the latest first; --open: those of which something is still to be found out.',
    options: { id: string, open: flag, limit: string },
    run: withDesk(refunds),
  },
  'payment settle-refund': {
    usage: '--id ID --state refunded|refused --note TEXT [--by NAME]',
    sentence: 'Say what became of a refund that nobody knows of, or that was sent by hand.',
    options: { id: string, state: string, note: string, by: string },
    run: withDesk(settled),
  },
  'payment unmatched': {
    usage: '[--resolved] [--limit NUMBER]',
    sentence: 'List money that came in and fits no payment.',
    options: { resolved: flag, limit: string },
    run: withDesk(unmatched),
  },
  'payment resolve': {
    usage: '--id ID --note TEXT [--payment ID] [--by NAME]',
    sentence: 'End the matter of money that fits no payment, or give it to one to be looked at.',
    options: { id: string, note: string, payment: string, by: string },
    run: withDesk(resolve),
  },
  'payment rules': {
    usage: '[--set PATH=VALUE …] [--by NAME]',
    sentence: 'Show or set rates, fees, bounds, bonuses and limits of payments.',
    options: { set: { type: 'string', multiple: true }, by: string },
    run: withDesk(rules),
  },
  'payment compare': {
    usage: '',
    sentence: 'Compare what was credited with what providers say, and list what differs.',
    options: {},
    run: withDesk(compare),
  },
};

function withDesk(work: (work: Work) => Promise<Said>): PaymentCommand['run'] {
  return async (given, config, say) => {
    const database = await openDatabase(config, 'command', say);
    try {
      const origin = (): string => config.publicUrl || `http://localhost:${config.port}`;
      // Loaded here because most commands work without it.
      const { deskOfCommand } = await import('../payments/open.ts');
      const desk = await deskOfCommand({
        ...{ config, origin, sql: database.sql, secret: await installationSecret(config) },
        log: (message) => say(message),
        changed: tellOwner(origin),
      });
      const option: Work['option'] = (name) => {
        const value = given.values[name];
        return typeof value === 'string' ? value : null;
      };
      return await work({ desk, given, option, who: option('by') ?? userInfo().username });
    } finally {
      await database.close();
    }
  };
}

function wrong(param: string, message: string): ApiError {
  return new ApiError('invalid_request', { param, message });
}

function needed(option: Work['option'], name: string): string {
  const value = option(name)?.trim();
  if (!value) throw wrong(name, `--${name} is missing.`);
  return value;
}

function uuidIn(option: Work['option'], name: string): string | null {
  const value = option(name);
  if (value === null || isUuid(value)) return value;
  throw wrong(name, `--${name} takes an id such as "payment list" shows.`);
}

function idIn(option: Work['option']): string {
  needed(option, 'id');
  return uuidIn(option, 'id') ?? '';
}

function takaIn(option: Work['option']): Paisa | null {
  const text = option('taka');
  if (text === null) return null;
  try {
    return parseTaka(text);
  } catch (error) {
    if (!(error instanceof TakaError)) throw error;
    throw wrong('taka', `--taka takes an amount such as 500 or 500.50, not "${text}".`);
  }
}

const usualMost = 50;

function mostIn(option: Work['option']): number {
  const most = Number(option('limit') ?? usualMost);
  if (Number.isInteger(most) && most >= 1 && most <= 1000) return most;
  throw wrong('limit', '--limit takes a whole number from 1 to 1000.');
}

function oneOf<T extends string>(
  option: Work['option'],
  name: string,
  all: readonly T[],
): T | null {
  const text = option(name);
  const found = all.find((each) => each === text);
  if (text === null || found) return found ?? null;
  throw wrong(name, `--${name} must be one of ${all.join(', ')}.`);
}

async function list({ desk, option }: Work): Promise<Said> {
  const methods: MethodId[] = [...desk.methods.keys()];
  const found = await listPayments(desk.sql, {
    state: oneOf<PaymentState>(option, 'state', paymentStates),
    method: oneOf(option, 'method', methods),
    email: option('email'),
    search: option('search')?.trim() ?? null,
    before: uuidIn(option, 'before'),
    most: mostIn(option),
  });
  const text = found.map(paymentLine).join('\n') || 'No payments.';
  return { json: { payments: found.map(paymentJson) }, text };
}

async function review({ desk, option }: Work): Promise<Said> {
  const found = await paymentsToReview(desk.sql, { most: mostIn(option), id: null });
  const text = found.flatMap(reviewLines).join('\n') || 'No payment needs a person.';
  return { json: { payments: found.map(reviewJson) }, text };
}

async function show({ desk, option }: Work): Promise<Said> {
  const id = idIn(option);
  await existing(desk.sql, id);
  const [payment] = await paymentsToReview(desk.sql, { most: 1, id });
  if (!payment) throw new ApiError('not_found', { message: 'There is no such payment.' });
  const timeline = await evidenceOf(desk.sql, id);
  const own = await listRefunds(desk.sql, { open: false, payment: id, most: 1000 });
  return {
    json: {
      ...reviewJson(payment),
      refunds: own.map(refundJson),
      timeline: timeline.map(timelineJson),
    },
    text: paymentStory(payment, own, timeline),
  };
}

async function accept({ desk, option, given: { values }, who }: Work): Promise<Said> {
  const received = takaIn(option);
  if (received === null) throw wrong('taka', 'Say what came in: --taka.');
  const text = option('received-at');
  const receivedAt = text === null ? null : readMoment(text);
  if (text !== null && !receivedAt)
    throw wrong('received-at', '--received-at takes a moment such as 2027-06-30T18:00:00+06:00.');
  const paymentId = idIn(option);
  const answers = { isYes: values.yes === true, isJson: values.json === true };
  await agreedAmount(desk, paymentId, received, answers);
  const given = { paymentId, received, trxId: option('trx'), receivedAt, who };
  const { payment, approvals, needed: needs } = await acceptPayment(desk, given);
  const json = { ...paymentJson(payment), approvals, approvalsNeeded: needs };
  if (approvals < needs)
    return { json, text: `${who} has approved it; another admin has to do so, too.` };
  return { json, text: paymentSaid(payment).text };
}

async function refund({ desk, option, given, who }: Work): Promise<Said> {
  const order = {
    paymentId: idIn(option),
    amount: takaIn(option),
    reason: needed(option, 'reason'),
    keepVouchers: given.values['keep-vouchers'] === true,
  };
  return refundSaid(await refundPayment(desk, { ...order, who }));
}

async function refunds({ desk, option, given }: Work): Promise<Said> {
  const filter = { payment: uuidIn(option, 'id'), open: given.values.open === true };
  const found = await listRefunds(desk.sql, { ...filter, most: mostIn(option) });
  const text = found.map(refundLine).join('\n') || 'No refunds.';
  return { json: { refunds: found.map(refundJson) }, text };
}

async function settled({ desk, option, who }: Work): Promise<Said> {
  const state = oneOf(option, 'state', ['refunded', 'refused'] as const);
  if (!state) throw wrong('state', 'Say --state refunded or --state refused.');
  const truth = { state, note: needed(option, 'note'), who };
  return refundSaid(await settleRefund(desk, idIn(option), truth));
}

async function unmatched({ desk, option, given }: Work): Promise<Said> {
  const filter = { resolved: given.values.resolved === true, most: mostIn(option) };
  const found = await unmatchedReceipts(desk.sql, filter);
  const lines = found.map(({ id, method, trxId, amount, payerShown, createdAt, resolution }) =>
    [id, createdAt.toISOString(), method, trxId, `৳${formatTaka(amount)}`, payerShown, resolution]
      .filter(Boolean)
      .join('  '),
  );
  const text = lines.join('\n') || 'All money fits a payment.';
  return { json: { receipts: found.map(receiptJson) }, text };
}

async function resolve({ desk, option, who }: Work): Promise<Said> {
  const given = { note: needed(option, 'note'), paymentId: uuidIn(option, 'payment'), who };
  const receipt = await resolveReceipt(desk, idIn(option), given);
  return { json: receiptJson(receipt), text: `Receipt ${receipt.trxId}: ${receipt.resolution}` };
}

async function rules({ desk, given, who }: Work): Promise<Said> {
  const sets = given.values.set;
  const before = await currentRules(desk.sql);
  const texts = (Array.isArray(sets) ? sets : []).map(String);
  const now =
    texts.length > 0 ? await setRules(desk.sql, who, changesFrom(before.content, texts)) : before;
  const version = now.id === null ? 'Nothing is set; these hold' : `Version ${now.id}`;
  return {
    json: { version: now.id, rules: now.content },
    text: `${version}:\n${JSON.stringify(now.content, null, 2)}`,
  };
}

async function compare({ desk }: Work): Promise<Said> {
  const compared = await compareCredited(desk);
  const found = await differences(desk.sql, usualMost);
  const lines = found.map(
    ({ payment, method, trxId, amount, found: what, at }) =>
      `${at.toISOString()}  ${payment}  ${method}  ${trxId}  ৳${formatTaka(amount)}  ${what}`,
  );
  const text = [`${compared} payments were compared.`, ...lines].join('\n');
  return { json: { compared, differences: found.map(differenceJson) }, text };
}
