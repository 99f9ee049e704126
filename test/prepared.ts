/**
 * A database with every migration applied and nothing in it, made once for a whole run and copied by whoever needs one: a
 * tenth of the work. `test/all.ts` makes it; a file that is run by itself goes without, and makes its own as a first start does.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../src/config.ts';
import { openDatabase } from '../src/db/database.ts';

const variable = 'AKAI_PREPARED_DATABASE';

/** Makes it in `folder`, for this process and those that it starts. */
export async function prepareDatabase(folder: string): Promise<void> {
  const database = await openDatabase(loadConfig({ DATA_DIR: folder }, []), 'command', () => {});
  // Which mode it is for is said by whoever takes it into use.
  await database.owner()`DELETE FROM installation`;
  await database.close();
  // A link leads to where PostgreSQL's user may go: a copy of that would be the same database.
  if (lstatSync(join(folder, 'postgres')).isDirectory()) process.env[variable] = folder;
}

/** Puts a copy into a data directory, where one was prepared and nothing is there yet. */
export function copyPrepared(dataDir: string): void {
  const source = process.env[variable];
  if (source === undefined || existsSync(join(dataDir, 'postgres'))) return;
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  execFileSync('cp', ['-Rp', join(source, 'postgres'), dataDir]);
}
