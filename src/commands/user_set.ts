/** `akai user set`: what an account may choose, and whether it is switched off. */
import {
  type Account,
  isRetiredModels,
  setDisabled,
  setRetiredModels,
} from '../accounts/accounts.ts';
import type { Sql } from '../db/database.ts';
import type { Said } from './said.ts';

const sentences = {
  refuse: 'Retired models are refused, and the refusal names the successor.',
  replace: "Retired models are answered by their successors, at the successors' prices.",
  yes: 'It is switched off: nobody signs in to it, its sessions are over, its keys are refused.',
  no: 'It is switched on: its keys work, and its owner may sign in.',
};

/** What was given for each option; null for nothing. A string says what is wrong with it. */
export async function userSet(
  sql: Sql,
  account: Account,
  { retired, disabled }: { readonly retired: string | null; readonly disabled: string | null },
): Promise<Said | string> {
  if (retired === null && disabled === null) return 'Say what: --retired-models or --disabled.';
  if (retired !== null && !isRetiredModels(retired))
    return '--retired-models must be refuse or replace.';
  if (disabled !== null && disabled !== 'yes' && disabled !== 'no')
    return '--disabled must be yes or no.';
  const said: string[] = [];
  if (retired !== null) {
    await setRetiredModels(sql, account.id, retired);
    said.push(sentences[retired]);
  }
  if (disabled !== null) {
    await setDisabled(sql, account.id, disabled === 'yes');
    said.push(sentences[disabled]);
  }
  return {
    json: {
      email: account.email,
      ...(retired === null ? {} : { retiredModels: retired }),
      ...(disabled === null ? {} : { disabled: disabled === 'yes' }),
    },
    text: `${account.email}: ${said.join(' ')}`,
  };
}
