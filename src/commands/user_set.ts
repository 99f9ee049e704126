/** `akai user set`: what an account may choose. */
import { type Account, isRetiredModels, setRetiredModels } from '../accounts/accounts.ts';
import type { Sql } from '../db/database.ts';
import type { Said } from './said.ts';

const sentences = {
  refuse: 'Retired models are refused, and the refusal names the successor.',
  replace: "Retired models are answered by their successors, at the successors' prices.",
};

/** Null for a choice that there is not. */
export async function userSet(sql: Sql, account: Account, choice: string): Promise<Said | null> {
  if (!isRetiredModels(choice)) return null;
  await setRetiredModels(sql, account.id, choice);
  return {
    json: { email: account.email, retiredModels: choice },
    text: `${account.email}: ${sentences[choice]}`,
  };
}
