/** Each provider's adapter on its stand-in, with the same handles: what a payer can do at its page, and what can go wrong there. */
import assert from 'node:assert/strict';
import { loadConfig } from '../src/config.ts';
import type { Sql } from '../src/db/connection.ts';
import { bkash, bkashSettingsOf } from '../src/payments/bkash.ts';
import { BkashTokens } from '../src/payments/bkash_tokens.ts';
import type { MethodId, PaymentMethod } from '../src/payments/method.ts';
import { nagad } from '../src/payments/nagad.ts';
import type { Payment, PaymentState } from '../src/payments/payment.ts';
import { uddoktapay } from '../src/payments/uddoktapay.ts';
import { startSandboxBkash } from '../src/sandbox/bkash.ts';
import { startSandboxNagad } from '../src/sandbox/nagad.ts';
import { startSandboxUddoktapay } from '../src/sandbox/uddoktapay.ts';
import { usualFaults } from '../src/sandbox/uddoktapay_panel.ts';
import { act, payAt } from './bkash_scene.ts';

export const silences = ['no answer', 'html', 'half of the JSON', 'an error'] as const;
export type Silence = (typeof silences)[number];

interface Lie {
  readonly what: string;
  /** @param page of the payment that it is about */
  readonly tell: (page: string) => unknown;
  /** What a payment becomes of which it is told. */
  readonly becomes: PaymentState;
}

export interface Way {
  /** `bKash v2` */
  readonly name: string;
  readonly id: MethodId;
  /** Whether money moves only when we ask for it; else it moves at the page. */
  readonly captures: boolean;
  /** What heals a payment that was paid by a browser that never came back. */
  readonly heals: 'poller' | 'webhook' | 'nothing moved' | 'the payer comes later';
  /** What an admin does about a payment whose payer has come back; left out where a provider is asked. */
  readonly review?: (payment: Payment) => Promise<void>;
  /** A new one, as a process has it that has just started. */
  method(): PaymentMethod;
  /** Where the payer's browser is sent to once they have paid. */
  pay(page: string): Promise<URL>;
  payAndClose(page: string): Promise<unknown>;
  cancel(page: string): Promise<URL>;
  fail(page: string): Promise<URL>;
  /** Whether another address of ours is for those who gave up. */
  readonly cancelsElsewhere: boolean;
  /** What anybody can type behind an address of ours. @param id at the provider; null for one that was made up */
  forged(claims: 'paid' | 'cancelled', id: string | null): string;
  /** The provider's id as a browser brings it. */
  idIn(back: URL): string | null;
  /** Does what it is asked for, and says nothing that can be read. */
  mute(how: Silence): void;
  /** Nothing reaches it. */
  cutOff(): void;
  readonly lies: readonly Lie[];
  /** Every payment is said to be the same transfer from now on. */
  repeatTransfer(payment: Payment): void;
  /** @param webhook of ours, for all payments */
  notify(webhook: string): void;
  /** A day and an hour pass for the provider. */
  age(): void;
  /** All is as usual again, without notifications. */
  mend(): void;
  close(): Promise<void>;
}

export async function submit(
  page: string,
  form: Readonly<Record<string, string>>,
): Promise<URL | null> {
  const body = new URLSearchParams(form);
  const response = await fetch(page, { method: 'POST', body, redirect: 'manual' });
  await response.body?.cancel();
  const location = response.headers.get('location');
  return location === null ? null : new URL(location, page);
}

const sure = (to: URL | null): URL => to ?? assert.fail('the page does not lead back');

export async function bkashWay(generation: 'v1' | 'v2', sql: Sql, secret: string): Promise<Way> {
  const standIn = await startSandboxBkash();
  const { faults, switches } = standIn;
  const settings = bkashSettingsOf(loadConfig({ BKASH_GENERATION: generation }, []), standIn);
  const mend = (): void => {
    faults.clear();
    Object.assign(switches, { duplicateMs: 0, notifications: 'off', aheadMs: 0 });
  };
  mend();
  const often = 100;
  const silence = {
    'no answer': 'silent',
    html: 'html',
    'half of the JSON': 'truncated',
    'an error': 'maintenance',
  } as const;
  const changed = (what: string, change: Readonly<Record<string, unknown>>): Lie => ({
    what,
    tell: () => {
      for (const operation of ['execute', 'query'] as const)
        faults.add(operation, { change }, often);
    },
    becomes: 'needs_review',
  });
  return {
    name: `bKash ${generation}`,
    id: 'bkash',
    captures: true,
    heals: 'nothing moved',
    cancelsElsewhere: false,
    method: () => {
      const tokens = new BkashTokens({ sql, secret, access: settings.access });
      return bkash(settings, tokens);
    },
    pay: (page) => payAt(page),
    payAndClose: (page) => act(page, 'confirm_and_close'),
    cancel: async (page) => sure((await act(page, 'cancel')).to),
    fail: (page) => payAt(page, '01823074817'),
    forged: (claims, id) =>
      `?paymentID=${id ?? 'TR0011Forged001762072142166'}&status=${claims === 'paid' ? 'success' : 'cancel'}`,
    idIn: ({ searchParams }) => searchParams.get('paymentID') ?? searchParams.get('paymentId'),
    mute: (how) => {
      faults.add('execute', 'lost');
      faults.add('query', silence[how], often);
    },
    cutOff: () => {
      faults.add('execute', 'silent');
      faults.add('query', 'silent', often);
    },
    lies: [
      changed('amount', { amount: '5000.00' }),
      changed('invoice', { merchantInvoiceNumber: 'TOPOTHER', merchantInvoice: 'TOPOTHER' }),
      changed('payment', { paymentID: 'TR0011Other', paymentId: 'TR0011Other' }),
      changed('currency', { currency: 'USD' }),
      changed('intent', { intent: 'authorization' }),
    ],
    repeatTransfer: ({ trxId }) => void changed('', { trxID: trxId, trxId }).tell(''),
    notify: (webhook) => {
      standIn.sns.webhook = webhook;
      switches.notifications = 'sent';
    },
    age: () => {
      switches.aheadMs = 25 * 3_600_000;
    },
    mend,
    close: () => standIn.close(),
  };
}

export async function nagadWay(): Promise<Way> {
  const standIn = await startSandboxNagad();
  const { faults, baseUrl, merchantId, merchantNumber } = standIn;
  const mend = (): void => {
    faults.answers.verify = undefined;
    faults.wrong = {};
  };
  const silence = {
    'no answer': 'silent',
    html: 'firewall',
    'half of the JSON': 'truncated',
    'an error': 'error',
  } as const;
  const changed = (what: string, wrong: Readonly<Record<string, unknown>>): Lie => ({
    what,
    tell: () => {
      faults.wrong = wrong;
    },
    becomes: 'needs_review',
  });
  return {
    name: 'Nagad',
    id: 'nagad',
    captures: false,
    heals: 'poller',
    cancelsElsewhere: false,
    method: () =>
      nagad({
        ...{ mode: 'sandbox', baseUrl, merchantId, merchantNumber, signature: 'sha256' },
        ...{ keys: standIn.credentials, refundApi: false, fallbackIp: '203.0.113.1' },
      }),
    pay: async (page) => sure(await submit(page, { choice: 'pay' })),
    payAndClose: (page) => submit(page, { choice: 'pay_stay' }),
    cancel: async (page) => sure(await submit(page, { choice: 'abort' })),
    fail: async (page) => sure(await submit(page, { choice: 'fail' })),
    forged: (claims, id) =>
      `/?merchant=${merchantId}&payment_ref_id=${encodeURIComponent(id ?? 'MTEyMzAxMDAwMDAw')}&status=${claims === 'paid' ? 'Success' : 'Aborted'}&status_code=00_0000_000`,
    idIn: ({ searchParams }) => searchParams.get('payment_ref_id'),
    mute: (how) => {
      faults.answers.verify = silence[how];
    },
    cutOff: () => {
      faults.answers.verify = 'silent';
    },
    lies: [
      changed('amount', { amount: '5000' }),
      changed('invoice', { orderId: 'TOPOTHER' }),
      changed('payment', { paymentRefId: 'MTEyMzAx' }),
      changed('merchant', { merchantId: '680000000000002' }),
    ],
    repeatTransfer: ({ trxId }) => {
      faults.wrong = { issuerPaymentRefNo: trxId };
    },
    notify: () => {},
    age: () => {},
    mend,
    close: () => standIn.close(),
  };
}

export async function uddoktapayWay(): Promise<Way> {
  const panel = await startSandboxUddoktapay();
  const { faults, baseUrl, apiKey } = panel;
  const mend = (): void => void Object.assign(faults, usualFaults(), { ipn: 'off' });
  mend();
  const silence = {
    'no answer': 'cut',
    html: 'html',
    'half of the JSON': 'truncated',
    'an error': 'error_500',
  } as const;
  const choose = (page: string, action: string) => submit(page, { act: action, wallet: 'bkash' });
  const verifies = (what: string, verify: typeof faults.verify): Lie => ({
    what,
    tell: () => {
      faults.verify = verify;
    },
    // The id that the browser brought is not known to be of this payment, and may still turn out to be.
    becomes: 'pending',
  });
  return {
    name: 'UddoktaPay',
    id: 'uddoktapay',
    captures: false,
    heals: 'webhook',
    cancelsElsewhere: true,
    method: () =>
      uddoktapay({ mode: 'sandbox', baseUrl, apiKey, refunds: false, timeoutMs: 10_000 }),
    pay: async (page) => sure(await choose(page, 'pay')),
    payAndClose: (page) => choose(page, 'pay_close'),
    cancel: async (page) => sure(await choose(page, 'cancel')),
    fail: async (page) => sure(await choose(page, 'fail')),
    forged: (_claims, id) => `?invoice_id=${id ?? 'Zz0000000000000000Zz'}`,
    idIn: ({ searchParams }) => searchParams.get('invoice_id'),
    mute: (how) => {
      faults.answer = silence[how];
    },
    cutOff: () => {
      faults.answer = 'cut';
    },
    lies: [
      {
        what: 'amount',
        tell: (page) =>
          submit(page.replace('/payment/', '/admin/'), { act: 'amount', amount: '5000.00' }),
        becomes: 'needs_review',
      },
      verifies('invoice', 'no_metadata'),
      verifies('payment', 'other_invoice'),
    ],
    repeatTransfer: ({ trxId }) => {
      faults.trxId = trxId?.split(':')[1] ?? '';
    },
    notify: () => {
      faults.ipn = 'twice';
    },
    age: () => {},
    mend,
    close: () => panel.close(),
  };
}
