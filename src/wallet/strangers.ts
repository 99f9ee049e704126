/** Requests that are over although their hold is still there, or their charge stands, because the database was away when they ended. */
import type { Sql } from '../db/database.ts';
import type { Settlement } from './batch.ts';
import { type Nano, nano } from './money.ts';

interface Stranger {
  readonly id: string;
  readonly wallet: number;
  readonly checkpoint: Nano;
  readonly checkpoint_input: number;
  readonly checkpoint_output: number;
  /** Who had begun to answer, where its checkpoint says so. */
  readonly provider: string | null;
  /** What explains the charge at the checkpoint. */
  readonly detail: string;
}

/** A member of JSON, for their receipts. */
const reason = '"reason":"the database was away"';

/** @throws what the driver throws */
export function strangersOf(sql: Sql, ids: string[]): Promise<Stranger[]> {
  return sql<Stranger[]>`
    SELECT id, wallet, checkpoint, checkpoint_input, checkpoint_output, basis ->> 'provider' AS provider,
      ledger_explanation(${reason}, basis, checkpoint_input, checkpoint_output) AS detail
    FROM holds WHERE id = ANY (${ids}::uuid[])`;
}

/** Ends it at its checkpoint. */
export function recoveryOf(hold: Stranger): Settlement {
  const free = freeEnding(hold.id, hold.wallet);
  if (hold.checkpoint === 0) return free;
  return {
    ...free,
    cost: hold.checkpoint,
    chargeable: hold.checkpoint,
    outcome: 'recovered',
    inputTokens: hold.checkpoint_input,
    outputTokens: hold.checkpoint_output,
    provider: hold.provider,
    detail: hold.detail,
  };
}

/** A settlement that costs nothing. */
export function freeEnding(id: string, walletId: number): Settlement {
  return {
    id,
    walletId,
    cost: nano(0),
    chargeable: nano(0),
    outcome: 'released',
    provider: null,
    inputTokens: 0,
    outputTokens: 0,
    detail: `{${reason}}`,
  };
}

/** Gives back what these requests were charged, each once. @throws what the driver throws */
export async function giveBack(sql: Sql, ids: string[]): Promise<void> {
  await sql`SELECT ledger_give_back(${ids}::uuid[])`;
}
