/** What must have become of a request, by the step at which it stood and by what died. */

import { costOfUsage } from '../crash/prices.ts';
import { model } from '../providers.ts';
import type { Actor, Step } from './actor.ts';

export const deaths = ['gateway', 'database', 'both'] as const;
export type Death = (typeof deaths)[number];

/**
 * never: no trace of it in the books · refused: 503, and no charge · free: a receipt of nothing ·
 * a number: recovered, charged for so many tokens of output · settled: for its usage, whatever the client got of it ·
 * complete: settled, and the client has it all
 */
type Fate = 'never' | 'refused' | 'free' | 'settled' | 'complete' | number;

/** Tokens of the first checkpoint, and of the one after the 1,600 bytes that `Actor` sends. */
const first = 256;
const second = 800;

const afterDeathOfGateway: Readonly<Record<Step, Fate>> = {
  'its key is asked for': 'never',
  'its key is found': 'never',
  'its hold waits for the batch before': 'never',
  'its hold is on its way': 'never',
  'its hold is on its way beside the call': 'never',
  'its hold is committed and not heard of': 'free',
  'the provider is called': 'free',
  'the provider begins to answer': 'free',
  'its first checkpoint is on its way': first,
  'its first checkpoint is committed and not heard of': first,
  'its first bytes are delivered': first,
  'its second checkpoint is on its way': first,
  'its second checkpoint is committed and not heard of': second,
  'it is in mid-stream': second,
  'its settlement waits for the batch before': first,
  'its settlement is on its way': first,
  'its settlement is committed and not heard of': 'settled',
  'it is delivered': 'complete',
};

/** All that may have become of it. */
function fates({ step, stream }: Actor, death: Death): readonly Fate[] {
  if (death === 'database') {
    // A gateway that lives brings to its end what it has begun; a key that cannot be read is no bad key.
    if (step.startsWith('its key')) return ['refused'];
    // Nor does a request wait for ever for the database before it begins: 5 s.
    return step.startsWith('its hold') ? ['complete', 'refused'] : ['complete'];
  }
  const fate = afterDeathOfGateway[step];
  if (typeof fate !== 'number') return [fate];
  // JSON has no checkpoints: nothing of it was delivered.
  return stream ? [fate] : ['free'];
}

export interface ReceiptRow {
  readonly id: string;
  readonly outcome: string;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cost: number;
  readonly charged: number;
  readonly held: number;
  /** Transfers that charge the wallet for it. */
  readonly charges: number;
  readonly transferred: number;
}

function isFate(fate: Fate, { visit, script }: Actor, receipt: ReceiptRow | null): boolean {
  if (fate === 'never') return receipt === null && !visit.hasBegun;
  if (fate === 'refused')
    return visit.status === 503 && visit.code === 'database_unavailable' && !receipt?.charged;
  if (receipt === null) return false;
  const { outcome, cost, charged, output_tokens: output } = receipt;
  if (fate === 'free') return outcome === 'released' && cost === 0 && charged === 0;
  if (typeof fate === 'number') {
    const said = { prompt: receipt.input_tokens, cached: 0, completion: output };
    return outcome === 'recovered' && output === fate && charged === costOfUsage(model, said);
  }
  const right = costOfUsage(model, { ...script.usage, cached: 0 });
  if (outcome !== 'settled' || charged !== right) return false;
  return fate === 'settled' || visit.isComplete;
}

/** What is wrong with how it ended; null when all is right. */
export function wrong(actor: Actor, death: Death, receipt: ReceiptRow | null): string | null {
  const { visit, step, stream, script } = actor;
  const evidence = (says: string): string =>
    `${stream ? 'stream' : 'JSON'}, ${step}, death of ${death}: ${says}\n      ${JSON.stringify({
      receipt,
      status: visit.status,
      bytes: visit.contentBytes,
      complete: visit.isComplete,
      text: visit.text.slice(-300),
      calls: script.calls,
    })}`;
  const expected = fates(actor, death);
  if (!expected.some((fate) => isFate(fate, actor, receipt)))
    return evidence(`not ${expected.join(' or ')}`);
  if (script.calls > 1) return evidence('the provider was asked twice');
  const charges = receipt && receipt.charged > 0 ? 1 : 0;
  if (receipt && (receipt.charges !== charges || receipt.transferred !== receipt.charged))
    return evidence('the transfers are not the charge');
  if (visit.requestId && receipt && receipt.id.replaceAll('-', '') !== visit.requestId)
    return evidence('another id than the client was told');
  // Nothing is charged for less than what was delivered.
  if (receipt?.outcome === 'recovered' && receipt.output_tokens < Math.ceil(visit.contentBytes / 4))
    return evidence('more was delivered than charged');
  return null;
}
