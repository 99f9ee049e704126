/** Payments on a real database, with a provider that does what a test tells it to: what the rules are, whatever a method does. */

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type Sql } from '../src/db/connection.ts';
import { type Database, openDatabase } from '../src/db/database.ts';
import { createPayment } from '../src/payments/create.ts';
import type { Desk } from '../src/payments/desk.ts';
import {
  type Agreements,
  type Evidence,
  type MethodId,
  type Opened,
  type PaymentFacts,
  type PaymentMethod,
  ProviderRefused,
  type RefundOrder,
  type RefundTruth,
  type Truth,
} from '../src/payments/method.ts';
import type { Payment } from '../src/payments/payment.ts';
import { paisa } from '../src/payments/taka.ts';
import { audit, type Finding } from '../src/wallet/audit.ts';
import { walletBalance } from '../src/wallet/wallets.ts';
import { copyPrepared } from './prepared.ts';
import { ScratchData } from './scratch_data.ts';

/** A payment as the provider has it. */
interface Account {
  readonly facts: PaymentFacts;
  /** What is to be said again when its money is taken. */
  readonly nonce: string;
  /** The payer has agreed. */
  authorised: boolean;
  /** Id of the transfer, once money has moved. */
  trxId: string | null;
  /** How often its money was taken: more than once is a defect of ours. */
  captures: number;
  refunded: number;
  /** References of the refunds that it was asked for; one that is here twice is a defect of ours. */
  readonly refunds: string[];
}

function factsOf({ facts }: Account): PaymentFacts {
  return { ...facts, providerId: `TR${facts.invoice}` };
}

const evidence = (operation: string): Evidence => ({
  operation,
  httpStatus: 200,
  ms: 1,
  code: null,
  body: {},
});

/** Takes money by `capture`, as bKash does. */
export class ScriptedProvider {
  readonly accounts = new Map<string, Account>();
  /** Replaces what it would say. */
  say: (truth: Truth) => Truth = (truth) => truth;
  /** Awaited before it answers. */
  before: (operation: string) => Promise<void> = async () => {};
  openFails: Error | null = null;
  refundSays: RefundTruth['state'] = 'refunded';
  /** What it says later of a refund; null for the truth. */
  refundBecame: RefundTruth['state'] | null = null;
  /** Whether payers agree when they are sent to agree, and whether their agreements have money behind them. */
  agrees = true;
  solvent = true;
  /** Ids of agreements that the provider has ended. */
  readonly ended: string[] = [];
  cancels = true;
  readonly method: PaymentMethod;
  #count = 0;

  constructor(id: MethodId = 'bkash', more: Partial<PaymentMethod> = {}) {
    this.method = {
      id,
      name: 'bKash',
      available: true,
      least: paisa(100),
      most: paisa(10_000_000),
      openForMs: 86_400_000,
      pollAfterMs: [0],
      open: async (facts) => {
        await this.before('open');
        if (this.openFails) throw this.openFails;
        return this.#opened(facts, false, 'n');
      },
      claimOf: (returned) => ({
        claims: returned.get('status') === 'success' ? 'paid' : 'cancelled',
        providerId: returned.get('paymentID'),
        nonce: null,
      }),
      ask: async (facts) => {
        await this.before('query');
        if (facts.providerId === null) return this.#nothing();
        return this.say(this.#truth(facts, 'query'));
      },
      capture: async (facts) => {
        await this.before('execute');
        const account = this.#accountOf(facts);
        if (facts.nonce !== account.nonce) throw new Error('another nonce was kept');
        if (account.authorised) {
          account.captures += 1;
          account.trxId ??= this.newTrxId();
        }
        return this.say(this.#truth(facts, 'execute'));
      },
      ...this.#back(),
      agreements: this.#agreements(),
      ...more,
    };
  }

  #opened(facts: PaymentFacts, authorised: boolean, nonce: string): Opened {
    const providerId = `TR${facts.invoice}`;
    const nothing = { trxId: null, captures: 0, refunded: 0, refunds: [] };
    this.accounts.set(providerId, { facts, authorised, nonce, ...nothing });
    const redirectUrl = `http://127.0.0.1/pay/${providerId}`;
    return { providerId, redirectUrl, nonce, evidence: evidence('create') };
  }

  #agreements(): Agreements {
    return {
      open: async (invoice) => ({
        providerId: `AG${invoice}`,
        redirectUrl: `http://127.0.0.1/agree/${invoice}`,
        nonce: null,
        evidence: evidence('agree'),
      }),
      conclude: async (providerId) => {
        await this.before('conclude');
        return this.agrees ? { agreementId: `TOKEN${providerId}`, payer: '017******75' } : null;
      },
      charge: async (agreementId, facts) => {
        await this.before('charge');
        if (this.ended.includes(agreementId))
          throw new ProviderRefused('The agreement is over.', evidence('charge'));
        if (!this.solvent) throw new ProviderRefused('Not enough money.', evidence('charge'));
        return this.#opened(facts, true, agreementId);
      },
      cancel: async (agreementId) => {
        if (this.cancels) this.ended.push(agreementId);
        return this.cancels;
      },
    };
  }

  /** Giving back, and finding by the id of a transfer. */
  #back(): Pick<PaymentMethod, 'refund' | 'refundStatus' | 'search'> {
    return {
      refund: async (payment, order) => {
        await this.before('refund');
        const account = this.#accountOf(payment);
        account.refunds.push(order.reference);
        if (this.refundSays === 'refunded') account.refunded += order.amount;
        await this.before('refund-answer');
        return this.#refundTruth(order, this.refundSays);
      },
      refundStatus: async (payment, order) => {
        await this.before('refund-status');
        const wasAsked = this.#accountOf(payment).refunds.includes(order.reference);
        return this.#refundTruth(
          order,
          this.refundBecame ?? (wasAsked ? this.refundSays : 'refused'),
        );
      },
      search: async (trxId) => {
        await this.before('search');
        const found = [...this.accounts.values()].find((account) => account.trxId === trxId);
        const truth = found && this.#truth(factsOf(found), 'search');
        // Like bKash, it does not name the invoice.
        return this.say(truth ? { ...truth, invoice: null, providerId: null } : this.#nothing());
      },
    };
  }

  #refundTruth({ reference }: RefundOrder, state: RefundTruth['state']): RefundTruth {
    const providerRefundId = state === 'refused' ? null : `RF${reference}`;
    return { state, providerRefundId, reason: null, evidence: evidence('refund') };
  }

  #nothing(): Truth {
    const none = { providerId: null, invoice: null, amount: null, currency: null, trxId: null };
    const silent = { payer: null, paidAt: null, foreign: null, reason: 'No such transaction.' };
    return {
      ...none,
      ...silent,
      state: 'unknown',
      absent: true,
      evidence: { ...evidence('search'), code: '2033' },
    };
  }

  newTrxId(): string {
    this.#count += 1;
    return `DAA${String(this.#count).padStart(7, '0')}`;
  }

  /** Everybody pays with a number of their own. */
  payerOf(invoice: string): string {
    const digits = [...invoice].reduce(
      (sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 100_000_000,
      7,
    );
    return `017${String(digits).padStart(8, '0')}`;
  }

  #accountOf({ providerId }: PaymentFacts): Account {
    const account = this.accounts.get(providerId ?? '');
    if (!account) throw new Error(`nobody opened ${providerId}`);
    return account;
  }

  #truth(facts: PaymentFacts, operation: string): Truth {
    const { trxId, facts: opened } = this.#accountOf(facts);
    return {
      state: trxId ? 'paid' : 'pending',
      providerId: facts.providerId,
      invoice: opened.invoice,
      amount: opened.amount,
      currency: 'BDT',
      trxId,
      payer: this.payerOf(opened.invoice),
      paidAt: trxId ? new Date() : null,
      foreign: null,
      reason: null,
      evidence: evidence(operation),
    };
  }

  /** The payer agrees on the provider's page. */
  authorise(payment: Payment): void {
    this.#accountOf({ ...payment, captureAsked: false }).authorised = true;
  }
}

/** A browser that comes back and says that its payer has agreed. */
export const success = {
  actor: 'browser',
  claim: { claims: 'paid', providerId: null, nonce: null },
} as const;

export interface PaymentsScene extends AsyncDisposable {
  readonly database: Database;
  /** May do everything. */
  readonly owner: Sql;
  /** Where other processes reach it. */
  readonly socket: string;
  readonly provider: ScriptedProvider;
  readonly desk: Desk;
  /** What changed told of: state after state. */
  readonly told: string[];
  /** A new account; returns its id. */
  user(): Promise<string>;
  /** Begins a payment of so many taka. */
  begin(userId: string, taka?: number, clientKey?: string | null): Promise<Payment>;
  /** One of a new account, whose payer has agreed. */
  authorised(taka?: number): Promise<Payment>;
  balance(payment: Payment): Promise<number>;
  /** Proves the books; returns what lies. */
  lies(): Promise<readonly Finding[]>;
}

export async function openPaymentsScene(more: Partial<Desk> = {}): Promise<PaymentsScene> {
  const data = new ScratchData();
  copyPrepared(data.dataDir);
  const database = await openDatabase(data.config(), 'serve', () => {});
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  const owner = connect({ path }, { max: 2, name: 'test owner' });
  const provider = new ScriptedProvider();
  const told: string[] = [];
  const desk: Desk = {
    sql: database.sql,
    mode: 'sandbox',
    methods: new Map([[provider.method.id, provider.method]]),
    secret: 's'.repeat(40),
    origin: () => 'http://127.0.0.1:3000',
    usualRate: '122.00',
    log: () => {},
    changed: async (_sql, { state }) => void told.push(state),
    ...more,
  };
  let count = 0;
  const user = async (): Promise<string> => {
    count += 1;
    const [row] = await owner<{ id: string }[]>`
      INSERT INTO users (name, email, created_at) VALUES ('Rahim', ${`rahim${count}@example.com`}, now() - interval '1 year') RETURNING id`;
    if (!row) throw new Error('no user');
    return row.id;
  };
  const begin = (userId: string, taka = 500, clientKey: string | null = null): Promise<Payment> =>
    createPayment(desk, {
      userId,
      method: 'bkash',
      wish: { paisa: paisa(taka * 100) },
      payer: { name: 'Rahim', email: 'rahim@example.com', address: null, mobile: false },
      clientKey,
    });
  return {
    database,
    owner,
    socket: path,
    provider,
    desk,
    told,
    user,
    begin,
    authorised: async (taka) => {
      const payment = await begin(await user(), taka);
      provider.authorise(payment);
      return payment;
    },
    balance: (payment) => walletBalance(database.sql, payment.wallet),
    lies: async () => (await audit(owner)).findings,
    [Symbol.asyncDispose]: async () => {
      await owner.end({ timeout: 1 });
      await database.close();
      await data[Symbol.asyncDispose]();
    },
  };
}
