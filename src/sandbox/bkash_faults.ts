/** What goes wrong at the stand-in for bKash, as a test orders it: the next calls of an operation, each once. */

export type BkashOperation =
  | 'grant'
  | 'refresh'
  | 'create'
  | 'execute'
  | 'query'
  | 'search'
  | 'refund'
  | 'refundStatus'
  | 'agreement'
  | 'cancelAgreement';

/**
 * Nothing is done: silent (the connection breaks), unauthorised (401 of the gateway), maintenance (503), html (a firewall's page
 * with status 200), a code. It is done: lost (the connection breaks), truncated (half of the JSON), slow by so many ms (before:
 * it is done only then), or with members of the answer changed.
 */
export type Fault =
  | 'silent'
  | 'unauthorised'
  | 'maintenance'
  | 'html'
  | 'lost'
  | 'truncated'
  | { readonly code: string }
  | { readonly ms: number; readonly before?: boolean }
  | { readonly change: Readonly<Record<string, unknown>> };

export class BkashFaults {
  readonly #next = new Map<BkashOperation, Fault[]>();

  /** Orders a fault for the next call of the operation that has none yet, and for so many after it. */
  add(operation: BkashOperation, fault: Fault, times = 1): void {
    const queue = this.#next.get(operation) ?? [];
    this.#next.set(operation, [...queue, ...Array.from({ length: times }, () => fault)]);
  }

  clear(): void {
    this.#next.clear();
  }

  take(operation: BkashOperation): Fault | null {
    return this.#next.get(operation)?.shift() ?? null;
  }
}
