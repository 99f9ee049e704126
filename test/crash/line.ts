/** A network between gateways and their PostgreSQL, which can fail as networks do. */

import net from 'node:net';
import { listen } from '../listen.ts';

/**
 * cut: every connection breaks · mute: what a gateway sends arrives, the answer does not · late: what a gateway sends last
 * arrives when it has long given the connection up
 */
export const lineFaults = ['cut', 'mute', 'late'] as const;
export type LineFault = (typeof lineFaults)[number];

interface Connection {
  readonly near: net.Socket;
  readonly far: net.Socket;
  fault: LineFault | null;
}

export interface Line extends AsyncDisposable {
  readonly port: number;
  /** Does this to every open connection; `mute` and `late` when something is next sent over it. */
  fail(fault: LineFault, delayMs: number): void;
  /** Spares the connections on which nothing has been sent since. */
  heal(): void;
}

/** How long a server may work on what it was sent by a client that is gone; ms. */
const aftermathMs = 2000;

export async function startLine(socketPath: string): Promise<Line> {
  const connections = new Set<Connection>();
  let lateMs = 0;
  const server = net.createServer((near) => {
    const far = net.connect(socketPath);
    const connection: Connection = { near, far, fault: null };
    connections.add(connection);
    near.on('data', (bytes: Buffer) => {
      const { fault } = connection;
      if (fault === null) far.write(bytes);
      else {
        connection.fault = null;
        connections.delete(connection);
        near.destroy();
        const send = (): void => void far.end(bytes);
        if (fault === 'late') setTimeout(send, lateMs);
        else send();
        setTimeout(() => far.destroy(), lateMs + aftermathMs);
      }
    });
    far.on('data', (bytes: Buffer) => {
      if (!near.destroyed) near.write(bytes);
    });
    const end = (): void => {
      // A connection that failed is not in the set any more: its far end is left to finish.
      if (!connections.delete(connection)) return;
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  });
  const port = await listen(server);
  return {
    port,
    fail: (fault, delayMs) => {
      lateMs = delayMs;
      for (const connection of [...connections]) {
        if (fault !== 'cut') connection.fault = fault;
        else {
          connection.near.destroy();
          connection.far.destroy();
        }
      }
    },
    heal: () => {
      for (const connection of connections) connection.fault = null;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const { near, far } of connections) {
        near.destroy();
        far.destroy();
      }
    },
  };
}
