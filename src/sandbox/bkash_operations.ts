/** Which path of the stand-in for bKash is which operation, and what each does. */
import {
  agreementBody,
  executedBody,
  type Generation,
  queriedBody,
  refundedBody,
  refundsBody,
  searchedBody,
} from './bkash_answers.ts';
import { type BkashBook, BkashRefusal, type Fields, type StandInPayment } from './bkash_book.ts';
import type { BkashOperation } from './bkash_faults.ts';

const v1: Readonly<Record<string, BkashOperation>> = {
  '/token/grant': 'grant',
  '/token/refresh': 'refresh',
  '/create': 'create',
  '/execute': 'execute',
  '/payment/status': 'query',
  '/general/searchTransaction': 'search',
  '/agreement/status': 'agreement',
  '/agreement/cancel': 'cancelAgreement',
};

const v2: Readonly<Record<string, BkashOperation>> = {
  '/auth/grant-token': 'grant',
  '/auth/refresh-token': 'refresh',
  '/payment/create': 'create',
  '/agreement/create': 'create',
  '/payment-with-agreement/create': 'create',
  '/payment/execute': 'execute',
  '/agreement/execute': 'execute',
  '/payment-with-agreement/execute': 'execute',
  '/query/payment': 'query',
  '/query/agreement': 'agreement',
  '/agreement/cancel': 'cancelAgreement',
  '/general/search-transaction': 'search',
  '/refund/payment/transaction': 'refund',
  '/refund/payment/status': 'refundStatus',
};

export function operationAt(
  path: string,
): { readonly operation: BkashOperation; readonly generation: Generation } | null {
  const first = path.startsWith('/v1.2.0-beta/tokenized/checkout');
  const below = first
    ? v1[path.slice('/v1.2.0-beta/tokenized/checkout'.length)]
    : v2[path.replace(/^\/v2\/tokenized-checkout(?=\/)/, '')];
  if (!below || !/^\/v[12]/.test(path)) return null;
  return { operation: below, generation: first ? 'v1' : 'v2' };
}

interface Done {
  readonly payment: StandInPayment | null;
  readonly body: Readonly<Record<string, unknown>>;
  /** What is new in the world: a page to go to, money that was taken. */
  readonly isNew: 'opened' | 'taken' | null;
}

/** @throws BkashRefusal, SchemaRefusal */
export function answerOf(
  book: BkashBook,
  operation: Exclude<BkashOperation, 'grant' | 'refresh'>,
  generation: Generation,
  fields: Fields,
): Done {
  const paymentId = String(fields.paymentID ?? fields.paymentId ?? '');
  switch (operation) {
    case 'create': {
      const payment = book.create(fields, modeOf(fields), generation);
      return { payment, body: {}, isNew: 'opened' };
    }
    case 'execute': {
      const payment = book.execute(paymentId);
      return { payment, body: executedBody(payment), isNew: 'taken' };
    }
    case 'query': {
      const payment = book.find(paymentId);
      return { payment, body: queriedBody(book, payment, generation), isNew: null };
    }
    case 'search':
      return { payment: null, body: searchedBody(book.byTrxId(fields)), isNew: null };
    case 'refund': {
      const { payment, refund } = book.refund(fields);
      return { payment, body: refundedBody(payment, refund, String(fields.reason)), isNew: null };
    }
    case 'refundStatus':
      return { payment: null, body: refundsBody(book.refunded(fields)), isNew: null };
    case 'agreement':
    case 'cancelAgreement': {
      if (operation === 'cancelAgreement') book.cancelAgreement(fields);
      const id = String(fields.agreementID ?? fields.agreementId ?? '');
      const agreement = book.agreements.get(id);
      if (!agreement) throw new BkashRefusal('2050');
      return {
        payment: null,
        body: agreementBody(id, agreement.wallet, agreement.over),
        isNew: null,
      };
    }
  }
}

/** The second generation may leave the mode out, since its paths say it. */
function modeOf(fields: Fields): string {
  if (typeof fields.mode === 'string') return fields.mode;
  if (fields.amount === undefined) return '0000';
  return fields.agreementId === undefined ? '0011' : '0001';
}
