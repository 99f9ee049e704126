/** `akai migrate`: opening the database has done it; what is left is to say so. */
import type { Sql } from '../db/database.ts';
import type { Said } from './said.ts';

export async function migrated(sql: Sql): Promise<Said> {
  const rows = await sql<{ name: string }[]>`SELECT name FROM migrations ORDER BY name`;
  const names = rows.map(({ name }) => name);
  return { json: { migrations: names }, text: `The database is up to date: ${names.join(', ')}.` };
}
