/** Every price that was ever charged, by the name that receipts give it. Append-only, as the rest of the books. */
import type { Sql } from '../db/database.ts';

export interface PriceVersion {
  readonly priceVersion: string;
  /** JSON text. */
  readonly priceContent: string;
}

/**
 * Writes down what versions stand for, before anything is sold at them. Returns how many were new.
 * @throws the driver's check_violation for a name that is not made of its content
 */
export async function rememberPrices(sql: Sql, versions: readonly PriceVersion[]): Promise<number> {
  const ids = versions.map(({ priceVersion }) => priceVersion);
  const contents = versions.map(({ priceContent }) => priceContent);
  const [row] = await sql<{ added: number }[]>`
    SELECT price_versions_add(${ids}, ${contents}) AS added`;
  return row?.added ?? 0;
}
