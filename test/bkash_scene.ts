/** Payments by bKash against its stand-in: one that is opened, its customer who clicks through the page, and what comes of it. */

import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { loadConfig } from '../src/config.ts';
import { type Database, openDatabase } from '../src/db/database.ts';
import { bkash, bkashSettingsOf } from '../src/payments/bkash.ts';
import { BkashTokens } from '../src/payments/bkash_tokens.ts';
import type {
  PaidPayment,
  Payer,
  PaymentFacts,
  PaymentMethod,
  ReturnAddresses,
} from '../src/payments/method.ts';
import { paisa } from '../src/payments/taka.ts';
import { type SandboxBkash, startSandboxBkash } from '../src/sandbox/bkash.ts';
import { copyPrepared } from './prepared.ts';
import { ScratchData } from './scratch_data.ts';

export const payer: Payer = {
  reference: 'user_8f21',
  name: 'Rahim',
  email: 'rahim@example.com',
  address: null,
  mobile: true,
};

export const addresses: ReturnAddresses = {
  callback: 'https://shop.example/api/payments/callback/bkash?p=secret-of-the-payment',
  cancel: 'https://shop.example/cancel',
  webhook: 'https://shop.example/webhook',
};

/** A payment that is not opened yet, of so many paisa. */
export function paymentOf(amount: number, opened: Partial<PaymentFacts> = {}): PaymentFacts {
  return {
    id: '00000000-0000-4000-8000-000000000000',
    invoice: `TOP${randomBytes(6).toString('hex').toUpperCase()}`,
    amount: paisa(amount),
    providerId: null,
    nonce: null,
    captureAsked: false,
    createdAt: new Date(),
    ...opened,
  };
}

/** Posts one step of the page. Returns where it leads, or what it shows. */
async function post(page: URL, act: string, value = ''): Promise<{ to: URL | null; html: string }> {
  const form = new URLSearchParams({ act, value });
  for (const name of ['paymentId', 'hash']) form.set(name, page.searchParams.get(name) ?? '');
  const response = await fetch(page.origin, { method: 'POST', body: form, redirect: 'manual' });
  const location = response.headers.get('location');
  return { to: location === null ? null : new URL(location), html: await response.text() };
}

/** Does one thing on the page, which may be to close it. */
export async function act(redirectUrl: string, name: string, value = '') {
  return post(new URL(redirectUrl), name, value);
}

/** Types wallet, code and PIN. Returns the address of the shop that the browser is sent back to. */
export async function payAt(redirectUrl: string, wallet = '01770618575'): Promise<URL> {
  const page = new URL(redirectUrl);
  for (const value of [wallet, '123456', '12121']) {
    const { to, html } = await post(page, 'next', value);
    if (to) return to;
    if (html.includes('role="alert"')) throw new Error(`the page refuses ${value}`);
  }
  throw new Error('the page does not lead back');
}

type OpenedPayment = PaymentFacts & { readonly page: string };

export interface BkashScene {
  readonly standIn: SandboxBkash;
  readonly method: Required<PaymentMethod>;
  /** A payment of so many paisa, with the page that it is confirmed on. */
  opened(amount?: number): Promise<OpenedPayment>;
  paid(amount?: number): Promise<PaidPayment>;
}

/** One database for all tests of a file; a stand-in of its own for each. */
export class BkashStage implements AsyncDisposable {
  readonly #data = new ScratchData();
  #database: Database | null = null;
  #standIn: SandboxBkash | null = null;

  async scene(generation: 'v1' | 'v2'): Promise<BkashScene> {
    copyPrepared(this.#data.dataDir);
    this.#database ??= await openDatabase(this.#data.config(), 'serve', () => {});
    await this.#standIn?.close();
    const standIn = await startSandboxBkash();
    this.#standIn = standIn;
    const settings = bkashSettingsOf(loadConfig({ BKASH_GENERATION: generation }, []), standIn);
    const parts = { sql: this.#database.sql, secret: 'x'.repeat(40), access: settings.access };
    const method = bkash(settings, new BkashTokens(parts));
    assert.equal(method.available, true);
    const opened = async (amount = 50_000): Promise<OpenedPayment> => {
      const payment = paymentOf(amount);
      const { providerId, nonce, redirectUrl } = await method.open(payment, payer, addresses);
      return { ...payment, providerId, nonce, page: redirectUrl };
    };
    return {
      standIn,
      method,
      opened,
      paid: async (amount) => {
        const payment = await opened(amount);
        await payAt(payment.page);
        const { state, trxId, paidAt } = await method.capture(payment);
        assert.ok(state === 'paid' && trxId && paidAt);
        return { ...payment, trxId, paidAt };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#standIn?.close();
    await this.#database?.close();
    await this.#data[Symbol.asyncDispose]();
  }
}
