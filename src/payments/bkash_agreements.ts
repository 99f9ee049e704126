/** Standing permissions of bKash's customers, for automatic top-ups: modes 0000 (to permit) and 0001 (to pay by it). */

import type { BkashAnswer } from './bkash_answer.ts';
import { type BkashApi, TokenUnavailable } from './bkash_api.ts';
import { openAtBkash, saleOf } from './bkash_open.ts';
import { type Agreements, ProviderSilent } from './method.ts';
import { maskedNumber } from './msisdn.ts';

export function bkashAgreements(api: BkashApi): Agreements {
  return {
    open: (invoice, payer, addresses) =>
      openAtBkash(
        api,
        'agree',
        { mode: '0000', payerReference: payer.reference, callbackURL: addresses.callback },
        { invoice, amount: null },
      ),

    conclude: async (providerId) => {
      const concluded = concludedIn(await heard(api.call('conclude', idOf(api, providerId))));
      // Whether it was concluded before, or the answer was lost: bKash knows.
      return (
        concluded ?? concludedIn(await heard(api.call('query', api.ids({ payment: providerId }))))
      );
    },

    charge: async (agreementId, payment, payer, addresses) => {
      const sale = saleOf(payment, payer, addresses);
      const given = { mode: '0001', ...api.ids({ agreement: agreementId }), ...sale };
      const opened = await openAtBkash(api, 'charge', given, payment);
      // No browser comes back from it; the second generation wants to know the agreement once more when the money is taken.
      return { ...opened, nonce: agreementId };
    },

    cancel: async (agreementId) => {
      const cancelled = await heard(
        api.call('cancelAgreement', api.ids({ agreement: agreementId })),
      );
      if (isOver(cancelled)) return true;
      return isOver(await heard(api.call('agreement', api.ids({ agreement: agreementId }))));
    },
  };
}

/** An agreement that is being made has the id of a payment in v1 and may have that of an agreement in v2. */
function idOf(api: BkashApi, providerId: string): Record<string, string> {
  const isPayment = api.generation === 'v1' || providerId.startsWith('TR');
  return api.ids(isPayment ? { payment: providerId } : { agreement: providerId });
}

/** null for no answer. */
async function heard(asked: Promise<BkashAnswer>): Promise<BkashAnswer | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ProviderSilent || error instanceof TokenUnavailable) return null;
    throw error;
  }
}

function concludedIn(answer: BkashAnswer | null) {
  const agreementId = answer?.agreementId ?? null;
  if (!answer?.succeeded || agreementId === null) return null;
  if (answer.text('agreementStatus')?.toLowerCase() !== 'completed') return null;
  return { agreementId, payer: answer.payer && maskedNumber(answer.payer) };
}

function isOver(answer: BkashAnswer | null): boolean {
  return answer?.succeeded === true && /^cancel+ed$/i.test(answer.text('agreementStatus') ?? '');
}
