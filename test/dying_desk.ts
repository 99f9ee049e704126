/** A desk whose process ends at a step of its own: nothing that it asks for after that happens, and what it was in is undone. */
import type { Sql } from '../src/db/connection.ts';
import type { Desk } from '../src/payments/desk.ts';
import type { PaymentMethod } from '../src/payments/method.ts';

export class Ended extends Error {}

export interface DyingDesk {
  readonly desk: Desk;
  /** Whether its end has come. */
  readonly isOver: () => boolean;
}

/**
 * Steps are statements, begins and commits of transactions, and calls of the provider and their answers.
 * @param steps so many are done, the next one is not
 */
export function dyingDesk(desk: Desk, steps: number): DyingDesk {
  let left = steps;
  const step = (): void => {
    left -= 1;
    if (left < 0) throw new Ended('the process ended');
  };
  const methods = [...desk.methods].map(([id, method]) => [id, dyingMethod(method, step)] as const);
  return {
    desk: { ...desk, sql: dyingSql(desk.sql, step), methods: new Map(methods) },
    isOver: () => left < 0,
  };
}

function dyingSql<T extends object>(sql: T, step: () => void): T {
  return new Proxy(sql, {
    apply(target, self, given) {
      step();
      // as: the driver's template is a function
      return Reflect.apply(target as unknown as (...all: unknown[]) => unknown, self, given);
    },
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'begin' || typeof value !== 'function') return value;
      return async (work: (inner: Sql) => Promise<unknown>) => {
        step();
        const done: unknown = await Reflect.apply(value, target, [
          async (inner: Sql) => {
            const result = await work(dyingSql(inner, step));
            // Before the commit.
            step();
            return result;
          },
        ]);
        step();
        return done;
      };
    },
  });
}

/** Dies before the provider hears of it, or after it has done it. */
function dyingMethod(method: PaymentMethod, step: () => void): PaymentMethod {
  return new Proxy(method, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || name === 'claimOf') return value;
      return async (...given: unknown[]) => {
        step();
        const answer: unknown = await Reflect.apply(value, target, given);
        step();
        return answer;
      };
    },
  });
}
