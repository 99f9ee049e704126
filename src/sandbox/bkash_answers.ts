/** How the stand-in for bKash words its answers, in either generation of the API. Pure. */
import type { BkashBook, StandInPayment } from './bkash_book.ts';
import { bkashMessages } from './bkash_messages.ts';

export type Generation = 'v1' | 'v2';
type Body = Readonly<Record<string, unknown>>;

/** `2025-11-02T14:29:02:166 GMT+0600`: the clock of Dhaka, and a colon before the milliseconds. */
function dhakaTime(ms: number): string {
  const iso = new Date(ms + 6 * 3_600_000).toISOString();
  return `${iso.slice(0, 19)}:${iso.slice(20, 23)} GMT+0600`;
}

/** "500.00" */
export function taka(paisa: number): string {
  const digits = String(paisa).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** An address of the shop with what bKash adds; what is in it stays. */
export function returnAddress(payment: StandInPayment, status: string): string {
  const name = payment.apiVersion === 'v1' ? 'paymentID' : 'paymentId';
  const added = `${name}=${payment.id}&status=${status}&signature=${payment.signature}`;
  return `${payment.callback}${payment.callback.includes('?') ? '&' : '?'}${added}`;
}

/** Success of a generation: v1 says so by a code; v2 spells ids otherwise. */
export function inGeneration(generation: Generation, body: Body): Body {
  if (generation === 'v1') return { ...body, statusCode: '0000', statusMessage: 'Successful' };
  const renamed = Object.entries(body).map(([name, value]) => [
    /^(payment|trx|agreement)ID$/.test(name) ? name.replace('ID', 'Id') : name,
    value,
  ]);
  return Object.fromEntries(renamed);
}

export function refusalBody(generation: Generation, code: string): Body {
  const [name, message] = bkashMessages[code] ?? ['system_error', 'System error'];
  return generation === 'v1'
    ? { statusCode: code, statusMessage: message }
    : {
        internalCode: name,
        externalCode: code,
        errorMessageEn: `${message}.`,
        errorMessageBn: null,
      };
}

export function createdBody(payment: StandInPayment, page: string, generation: Generation): Body {
  const agreement = payment.mode === '0000';
  return {
    paymentID: payment.id,
    bkashURL: page,
    callbackURL: payment.callback,
    successCallbackURL: returnAddress(payment, 'success'),
    failureCallbackURL: returnAddress(payment, 'failure'),
    cancelledCallbackURL: returnAddress(payment, 'cancel'),
    ...(generation === 'v2' ? { signature: payment.signature } : {}),
    ...(agreement
      ? {
          payerReference: payment.reference,
          agreementStatus: 'Initiated',
          agreementCreateTime: dhakaTime(payment.createdAt),
        }
      : {
          ...(payment.agreementId ? { agreementID: payment.agreementId } : {}),
          amount: payment.amountText,
          intent: 'sale',
          currency: 'BDT',
          paymentCreateTime: dhakaTime(payment.createdAt),
          transactionStatus: 'Initiated',
          merchantInvoiceNumber: payment.invoice,
        }),
  };
}

export function executedBody(payment: StandInPayment): Body {
  const payer = { payerReference: payment.reference, customerMsisdn: payment.wallet };
  if (payment.mode === '0000')
    return {
      paymentID: payment.id,
      agreementID: payment.agreementId,
      ...payer,
      agreementExecuteTime: dhakaTime(payment.executedAt ?? 0),
      agreementStatus: 'Completed',
    };
  return {
    paymentID: payment.id,
    trxID: payment.trxId,
    ...(payment.agreementId ? { agreementID: payment.agreementId } : {}),
    transactionStatus: 'Completed',
    amount: payment.amountText,
    currency: 'BDT',
    intent: 'sale',
    paymentExecuteTime: dhakaTime(payment.executedAt ?? 0),
    merchantInvoiceNumber: payment.invoice,
    payerType: 'Customer',
    ...payer,
    payerAccount: payment.wallet,
    maxRefundableAmount: payment.amountText,
  };
}

/** The invoice has another name here, and what was confirmed but not executed still says that it is initiated. */
export function queriedBody(
  book: BkashBook,
  payment: StandInPayment,
  generation: Generation,
): Body {
  const isDone = payment.executedAt !== null;
  const common = {
    paymentID: payment.id,
    mode: payment.mode,
    paymentCreateTime: dhakaTime(payment.createdAt),
    ...(isDone ? { paymentExecuteTime: dhakaTime(payment.executedAt ?? 0) } : {}),
    verificationStatus: isDone ? 'Complete' : 'Incomplete',
    payerReference: payment.reference,
    ...(payment.agreementId ? { agreementID: payment.agreementId } : {}),
  };
  if (payment.mode === '0000')
    return { ...common, agreementStatus: isDone ? 'Completed' : 'Initiated' };
  const waiting = book.isExpired(payment) ? 'Expired' : 'Initiated';
  const given = payment.refunds.reduce((sum, { amount }) => sum + amount, 0);
  return {
    ...common,
    amount: payment.amountText.replace(/\.0+$/, ''),
    currency: 'BDT',
    intent: 'sale',
    merchantInvoice: payment.invoice,
    ...(isDone || generation === 'v2' ? { trxID: payment.trxId ?? '' } : {}),
    transactionStatus: isDone ? 'Completed' : waiting,
    ...(isDone ? { maxRefundableAmount: taka(payment.amount - given) } : {}),
  };
}

export function searchedBody(payment: StandInPayment): Body {
  return {
    trxID: payment.trxId,
    initiationTime: dhakaTime(payment.createdAt),
    completedTime: dhakaTime(payment.executedAt ?? 0),
    transactionType: 'bKash Tokenized Checkout via API',
    customerMsisdn: payment.wallet,
    transactionStatus: 'Completed',
    amount: payment.amountText.replace(/\.0+$/, ''),
    currency: 'BDT',
    organizationShortCode: '50022',
  };
}

export function agreementBody(id: string, wallet: string, over: boolean): Body {
  return {
    agreementID: id,
    agreementStatus: over ? 'Cancelled' : 'Completed',
    customerMsisdn: wallet,
    payerReference: wallet,
  };
}

/** Refunds are of the second generation for everybody. */
export function refundedBody(
  payment: StandInPayment,
  refund: StandInPayment['refunds'][number],
  reason: string,
): Body {
  return {
    originalTrxId: payment.trxId,
    refundTrxId: refund.trxId,
    refundTransactionStatus: 'Completed',
    originalTrxAmount: taka(payment.amount),
    refundAmount: taka(refund.amount),
    currency: 'BDT',
    completedTime: dhakaTime(refund.at),
    sku: refund.sku,
    reason,
  };
}

/** Neither our reference nor a time zone is in it. */
export function refundsBody(payment: StandInPayment): Body {
  return {
    originalTrxId: payment.trxId,
    originalTrxAmount: taka(payment.amount),
    originalTrxCompletedTime: dhakaTime(payment.executedAt ?? 0),
    refundTransactions: payment.refunds.map((refund) => ({
      refundTrxId: refund.trxId,
      refundTransactionStatus: 'Completed',
      refundAmount: taka(refund.amount),
      completedTime: dhakaTime(refund.at).replace(' GMT+0600', ''),
    })),
  };
}

/** What SNS carries, itself JSON as text. */
export function notificationText(payment: StandInPayment): string {
  return JSON.stringify({
    dateTime: dhakaTime(payment.executedAt ?? 0)
      .slice(0, 19)
      .replace(/\D/g, ''),
    debitMSISDN: `88${payment.wallet}`,
    creditOrganizationName: 'Sandbox shop',
    creditShortCode: '50022',
    trxID: payment.trxId,
    transactionStatus: 'Completed',
    transactionType: '10002294',
    amount: payment.amountText,
    currency: 'BDT',
    transactionReference: payment.reference,
    merchantInvoiceNumber: payment.invoice,
  });
}
