/** Opening something at bKash that its customer then confirms on a page of bKash. */

import type { BkashAnswer } from './bkash_answer.ts';
import { type BkashApi, TokenUnavailable } from './bkash_api.ts';
import { meaningOf } from './bkash_codes.ts';
import {
  type Opened,
  type Paisa,
  type Payer,
  type PaymentFacts,
  ProviderRefused,
  ProviderSilent,
  type ReturnAddresses,
} from './method.ts';
import { formatTaka } from './taka.ts';

interface Wished {
  /** null where none was sent. */
  readonly invoice: string | null;
  readonly amount: Paisa | null;
}

/** What bKash is asked to take, once its customer has agreed. */
export function saleOf(
  { amount, invoice }: Pick<PaymentFacts, 'amount' | 'invoice'>,
  { reference }: Payer,
  { callback }: ReturnAddresses,
): Readonly<Record<string, string>> {
  return {
    payerReference: reference,
    callbackURL: callback,
    amount: formatTaka(amount),
    currency: 'BDT',
    intent: 'sale',
    merchantInvoiceNumber: invoice,
  };
}

/** @throws ProviderRefused, ProviderSilent */
export async function openAtBkash(
  api: BkashApi,
  operation: 'create' | 'agree' | 'charge',
  body: Readonly<Record<string, unknown>>,
  wished: Wished,
): Promise<Opened> {
  const answer = await api.call(operation, body).catch((error: unknown) => {
    if (error instanceof TokenUnavailable) throw new ProviderRefused(error.message, error.evidence);
    throw error;
  });
  if (!answer.succeeded) throw refusal(answer);
  const providerId = answer.paymentId ?? (operation === 'agree' ? answer.agreementId : null);
  const page = answer.page;
  if (providerId === null || page === null || !/^https?:$/.test(URL.parse(page)?.protocol ?? ''))
    throw new ProviderSilent(`${operation}: no payment in the answer`, answer.evidence);
  const amount = answer.taka('amount');
  const isOther =
    (wished.amount !== null && amount !== null && amount !== wished.amount) ||
    (wished.invoice !== null && answer.invoice !== null && answer.invoice !== wished.invoice);
  if (isOther)
    throw new ProviderSilent(`${operation}: bKash answers of another payment`, answer.evidence);
  return { providerId, redirectUrl: page, nonce: answer.nonce, evidence: answer.evidence };
}

function refusal(answer: BkashAnswer): ProviderRefused | ProviderSilent {
  const { code, evidence, httpStatus } = answer;
  if (code !== null && code !== '0000') return new ProviderRefused(meaningOf(code).says, evidence);
  if (answer.refusedByGateway) return new ProviderRefused(meaningOf('2025').says, evidence);
  return new ProviderSilent(`${evidence.operation}: HTTP ${httpStatus}`, evidence);
}
