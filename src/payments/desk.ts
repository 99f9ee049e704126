/** What every act on payments works with: built once by the server and by each command. */
import { createHmac } from 'node:crypto';
import { derivedSecret } from '../accounts/secret.ts';
import type { Sql, Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import type { MethodId, PaymentMethod } from './method.ts';
import type { Payment } from './payment.ts';

export interface Desk {
  readonly sql: Sql;
  readonly mode: 'sandbox' | 'live';
  readonly methods: ReadonlyMap<MethodId, PaymentMethod>;
  /** The installation's. */
  readonly secret: string;
  /** As users and providers reach us, such as https://akaicore.space. */
  readonly origin: () => string;
  /** Taka a US dollar where the operator's rules fix none; a decimal. */
  readonly usualRate: string;
  readonly log: (message: string, detail?: unknown) => void;
  /** Told within the transaction that changed what a payment is; enqueues mail. */
  readonly changed: (sql: Statements, payment: Payment) => Promise<void>;
}

/** @throws ApiError invalid_request for a method that there is not */
export function methodNamed({ methods }: Desk, id: string): PaymentMethod {
  const found = [...methods.values()].find((method) => method.id === id);
  if (found) return found;
  throw new ApiError('invalid_request', {
    param: 'method',
    message: `The method must be one of ${[...methods.keys()].join(', ')}.`,
  });
}

/** The method of a payment that exists. @throws Error where the installation has lost it */
export function methodOf({ methods }: Desk, id: MethodId): PaymentMethod {
  const method = methods.get(id);
  if (!method) throw new Error(`the payment method ${id} is not set up`);
  return method;
}

/** The same number always gives the same hash, which says nothing without the installation's secret. @param number in national form */
export function payerHash({ secret }: Desk, number: string): Buffer {
  return createHmac('sha256', derivedSecret(secret, 'payers')).update(number).digest();
}
