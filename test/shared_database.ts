/** A PostgreSQL behind a port, as the operator's own would be, for several servers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { connect, type Sql } from '../src/db/connection.ts';
import { ScratchData } from './scratch_data.ts';

export interface SharedDatabase extends AsyncDisposable {
  readonly url: string;
  /** May do everything. */
  readonly owner: Sql;
}

export async function openSharedDatabase(): Promise<SharedDatabase> {
  const stack = new AsyncDisposableStack();
  const data = stack.use(new ScratchData());
  const holder = await data.open('command');
  stack.defer(async () => void (await holder.end('SIGINT')));
  const path = join(realpathSync(join(data.dataDir, 'postgres')), '.s.PGSQL.5432');
  const relay = net.createServer((client) => {
    const server = net.connect(path);
    client.pipe(server).pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
    client.on('close', () => server.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  stack.defer(() => void relay.close());
  const address = relay.address();
  assert.ok(address !== null && typeof address === 'object');
  const owner = connect({ path }, { max: 2, name: 'test owner' });
  stack.defer(() => owner.end({ timeout: 1 }));
  return {
    url: `postgres://akai:unused@127.0.0.1:${address.port}/akai`,
    owner,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
