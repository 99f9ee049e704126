/** What a check of the books is. */

/**
 * What a check goes through, in the order of its ids: `requests` receipts and transfers, `wallets` accounts, `days` totals by
 * their day, `payments` payments, `vouchers` codes by their hash, `whole` tables that are small enough to be read at once.
 */
export type Scope = 'requests' | 'wallets' | 'days' | 'payments' | 'vouchers' | 'whole';

/** A condition that a column of ids is within the part that is looked at; `true` for all of it. */
export type Within = (column: string) => string;

export interface Check {
  /** A sentence that is true of honest books. */
  readonly name: string;
  readonly scope: Scope;
  /** A query of `id` and `detail` of each row that contradicts the name. */
  readonly rows: (within: Within) => string;
  /** In place of it where it is asked of a part: the same, by way of an index. */
  readonly rowsOfPart?: (within: Within) => string;
}
