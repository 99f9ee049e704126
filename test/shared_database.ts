/** A PostgreSQL behind a port, as the operator's own would be, for several servers. */
import { realpathSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from '../src/db/connection.ts';
import { listen } from './listen.ts';
import { copyPrepared } from './prepared.ts';
import { ScratchData } from './scratch_data.ts';

export interface SharedDatabase extends AsyncDisposable {
  readonly url: string;
  /** May do everything. */
  readonly owner: Sql;
  /** Cuts every connection of the servers, and lets none in for so long. */
  away(ms: number): Promise<void>;
}

export async function openSharedDatabase(): Promise<SharedDatabase> {
  const stack = new AsyncDisposableStack();
  const data = stack.use(new ScratchData());
  copyPrepared(data.dataDir);
  const holder = await data.open('command');
  stack.defer(async () => void (await holder.end('SIGINT')));
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  const clients = new Set<net.Socket>();
  let isAway = false;
  const relay = net.createServer((client) => {
    if (isAway) {
      client.destroy();
      return;
    }
    clients.add(client);
    const server = net.connect(path);
    client.pipe(server).pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.on('close', () => {
      clients.delete(client);
      server.destroy();
    });
  });
  const port = await listen(relay);
  stack.defer(() => void relay.close());
  const owner = connect({ path }, { max: 2, name: 'test owner' });
  stack.defer(() => owner.end({ timeout: 1 }));
  return {
    url: `postgres://akai:unused@127.0.0.1:${port}/akai`,
    owner,
    away: async (ms) => {
      isAway = true;
      for (const client of clients) client.destroy();
      await sleep(ms);
      isAway = false;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
