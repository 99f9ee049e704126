/** Servers of tests: on 127.0.0.1, on whatever port is free. */
import { once } from 'node:events';
import type { Server } from 'node:net';

/** Resolves with the port once the server listens. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
