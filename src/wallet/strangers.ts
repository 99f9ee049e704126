/** Holds whose request is over although they are still there, because the database was away when it ended. */
import type { Settlement } from './batch.ts';
import { type Nano, nano } from './money.ts';

export interface Stranger {
  readonly id: string;
  readonly wallet: number;
  readonly checkpoint: Nano;
  readonly checkpoint_input: number;
  readonly checkpoint_output: number;
}

/** Ends it at its checkpoint. */
export function recoveryOf(hold: Stranger): Settlement {
  return {
    ...freeEnding(hold.id, hold.wallet),
    cost: hold.checkpoint,
    chargeable: hold.checkpoint,
    outcome: hold.checkpoint > 0 ? 'recovered' : 'released',
    inputTokens: hold.checkpoint_input,
    outputTokens: hold.checkpoint_output,
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
    detail: '{"reason":"the database was away"}',
  };
}
