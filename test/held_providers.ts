/** The stand-ins of all three providers, in this process and each behind something that can hold it, and a server's settings to reach them. */
import assert from 'node:assert/strict';
import { startSandboxBkash } from '../src/sandbox/bkash.ts';
import { startSandboxNagad } from '../src/sandbox/nagad.ts';
import { startSandboxUddoktapay } from '../src/sandbox/uddoktapay.ts';
import { payAt } from './bkash_scene.ts';
import { HeldProvider } from './held_provider.ts';
import { submit } from './payment_ways.ts';

export interface Provider {
  readonly id: string;
  readonly held: HeldProvider;
  /** Parts of the addresses: of the first and the last question when a payment is opened, of the one that the credit hangs on, of a refund. */
  readonly at: Readonly<Record<'first' | 'last' | 'take' | 'refund', string>>;
  /** Where the browser goes once its owner has paid. */
  readonly pay: (page: string) => Promise<URL>;
  /** Name of the provider's id in that address. */
  readonly named: string;
  /** What is known of a refund that was done, and whose answer nobody read. */
  readonly done: 'refunded' | 'needs_review';
}

async function chosen(page: string, form: Readonly<Record<string, string>>): Promise<URL> {
  return (await submit(page, form)) ?? assert.fail('the page does not lead back');
}

function providersBehind(
  held: Readonly<Record<'bkash' | 'nagad' | 'uddoktapay', HeldProvider>>,
): readonly Provider[] {
  return [
    {
      id: 'bkash',
      held: held.bkash,
      at: {
        first: '/checkout/create',
        last: '/checkout/create',
        take: '/checkout/execute',
        refund: '/refund/payment/transaction',
      },
      pay: payAt,
      named: 'paymentID',
      done: 'refunded',
    },
    {
      id: 'nagad',
      held: held.nagad,
      at: {
        first: '/check-out/initialize/',
        last: '/check-out/complete/',
        take: '/verify/payment/',
        refund: '/purchase/cancel',
      },
      pay: (page) => chosen(page, { choice: 'pay' }),
      named: 'payment_ref_id',
      done: 'refunded',
    },
    {
      id: 'uddoktapay',
      held: held.uddoktapay,
      at: {
        first: '/api/checkout-v2',
        last: '/api/checkout-v2',
        take: '/api/verify-payment',
        refund: '/api/refund-payment',
      },
      pay: (page) => chosen(page, { act: 'pay', wallet: 'bkash' }),
      named: 'invoice_id',
      // The panel's word is no proof.
      done: 'needs_review',
    },
  ];
}

export async function holdProviders() {
  const [bkash, nagad, uddoktapay] = await Promise.all([
    startSandboxBkash(),
    startSandboxNagad(),
    startSandboxUddoktapay(),
  ]);
  bkash.switches.duplicateMs = 0;
  uddoktapay.faults.ipn = 'off';
  const keys = await nagad.credentials();
  const held = {
    bkash: await HeldProvider.before(bkash.origin),
    nagad: await HeldProvider.before(new URL(nagad.baseUrl).origin),
    uddoktapay: await HeldProvider.before(uddoktapay.baseUrl),
  };
  const settings = {
    BKASH_BASE_URL: `${held.bkash.origin}/v1.2.0-beta`,
    BKASH_USERNAME: bkash.credentials.username,
    BKASH_PASSWORD: bkash.credentials.password,
    BKASH_APP_KEY: bkash.credentials.appKey,
    BKASH_APP_SECRET: bkash.credentials.appSecret,
    NAGAD_BASE_URL: `${held.nagad.origin}/api/dfs`,
    NAGAD_MERCHANT_ID: nagad.merchantId,
    NAGAD_MERCHANT_NUMBER: nagad.merchantNumber,
    NAGAD_PUBLIC_KEY: keys.publicKey,
    NAGAD_PRIVATE_KEY: keys.privateKey,
    NAGAD_REFUND_API: 'on',
    UDDOKTAPAY_BASE_URL: held.uddoktapay.origin,
    UDDOKTAPAY_API_KEY: uddoktapay.apiKey,
    UDDOKTAPAY_REFUND_API: 'on',
  };

  return {
    providers: providersBehind(held),
    settings,
    bkash,
    close: async (): Promise<void> => {
      for (const each of Object.values(held)) each.close();
      await Promise.all([bkash.close(), nagad.close(), uddoktapay.close()]);
    },
  };
}
