/** How long the latest answers were. */
import type { Sql } from '../db/database.ts';

export interface AnswerLength {
  /** Public id. */
  readonly model: string;
  /** Tokens of output, over all choices. */
  readonly tokens: number;
}

/** Of the latest answers whose usage a provider reported, oldest first. @param limit how many receipts are looked at */
export async function recentAnswers(sql: Sql, limit: number): Promise<AnswerLength[]> {
  return await sql<AnswerLength[]>`
    SELECT model, output_tokens AS tokens FROM (
      SELECT id, model, output_tokens, outcome FROM receipts ORDER BY id DESC LIMIT ${limit}
    ) latest WHERE outcome = 'settled' ORDER BY id`;
}
