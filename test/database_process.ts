/** Opens the database in a process of its own, so that tests can kill it: `database_process.ts serve|command`, settings as usual. */

import { loadConfig, processEnvironment } from '../src/config.ts';
import { openDatabase } from '../src/db/database.ts';

try {
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  process.on('SIGINT', () => tell());
  const use = process.argv[2] === 'serve' ? 'serve' : 'command';
  const database = await openDatabase(loadConfig(processEnvironment(), []), use, console.log);
  await database.sql`select 1`;
  console.log('OPEN');
  const alive = setInterval(() => {}, 1000);
  await told;
  clearInterval(alive);
  await database.close();
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${error.message}` : error);
  process.exitCode = 1;
}
