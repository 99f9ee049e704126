/** Which ways to pay are open to users now, within whose bounds. */
import type { Desk } from './desk.ts';
import type { Paisa, PaymentMethod } from './method.ts';
import type { PaymentRules } from './rules.ts';
import { paisa } from './taka.ts';

/** What of a method bounds its payments. */
export type Bounded = Pick<PaymentMethod, 'id' | 'least' | 'most'>;

/** Set up, and not switched off by the operator. */
export function isOffered({ methods }: PaymentRules, { id, available }: PaymentMethod): boolean {
  return available === true && methods[id].enabled;
}

/** The narrower of the operator's and the provider's. */
export function boundsOf(
  { methods }: PaymentRules,
  { id, least, most }: Bounded,
): { readonly least: Paisa; readonly most: Paisa } {
  const { bounds } = methods[id];
  return {
    least: paisa(Math.max(least, bounds.least * 100)),
    most: paisa(Math.min(most, bounds.most * 100)),
  };
}

/** All that are set up, switched off or not. */
export function offeredMethods({ methods }: Desk, rules: PaymentRules) {
  return [...methods.values()]
    .filter(({ available }) => available === true)
    .map((method) => ({
      method,
      bounds: boundsOf(rules, method),
      fee: rules.methods[method.id].fee,
    }));
}
