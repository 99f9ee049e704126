/** Bodies however they arrive: whole, in crumbs, too large, never. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { listen } from '../../test/listen.ts';
import { ApiError } from '../errors.ts';
import { ClientLeft, readBody } from './body.ts';

type Outcome = Buffer | Error;

async function serve(
  limit: number,
): Promise<{ server: Server; port: number; next(): Promise<Outcome> }> {
  const waiting: ((outcome: Outcome) => void)[] = [];
  const server = createServer((request, response) => {
    void readBody(request, limit)
      .catch((error: Error) => error)
      .then((outcome) => {
        waiting.shift()?.(outcome);
        response.end();
      });
  });
  const port = await listen(server);
  const next = (): Promise<Outcome> => new Promise((resolve) => waiting.push(resolve));
  return { server, port, next };
}

test('any split of a body is the same body', async () => {
  const { server, port, next } = await serve(1_000_000);
  const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(parts, async (pieces) => {
      const outcome = next();
      const socket = connect(port, '127.0.0.1');
      socket.write(
        'POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n',
      );
      for (const piece of pieces) {
        socket.write(`${piece.length.toString(16)}\r\n`);
        socket.write(piece);
        socket.write('\r\n');
      }
      socket.write('0\r\n\r\n');
      assert.deepEqual(await outcome, Buffer.concat(pieces));
      socket.destroy();
    }),
    { numRuns: 60 },
  );
  server.close();
});

test('a body in crumbs costs about its own size in memory', async () => {
  const { server, port, next } = await serve(1_000_000);
  const outcome = next();
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  const before = process.memoryUsage().rss;
  socket.end(`${'1\r\nx\r\n'.repeat(300_000)}0\r\n\r\n`);
  const body = await outcome;
  assert.ok(Buffer.isBuffer(body) && body.length === 300_000);
  assert.ok(process.memoryUsage().rss - before < 100_000_000);
  server.close();
});

test('too large is refused before it is read, or while it is; a client that leaves is no error to answer', async () => {
  const { server, port, next } = await serve(10);
  for (const head of ['content-length: 11', 'transfer-encoding: chunked']) {
    const outcome = next();
    const socket = connect(port, '127.0.0.1');
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n`);
    const error = await outcome;
    assert.ok(error instanceof ApiError && error.code === 'request_too_large');
    socket.destroy();
  }
  const outcome = next();
  const socket = connect(port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n123');
  setTimeout(() => socket.destroy(), 20);
  assert.ok((await outcome) instanceof ClientLeft);
  server.close();
});

test('a client that has left before its body was asked for keeps nobody waiting', async () => {
  const server = createServer();
  const port = await listen(server);
  for (const body of ['whole', 'ha']) {
    const socket = connect(port, '127.0.0.1');
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n${body}`);
    const [request] = await once(server, 'request');
    socket.destroy();
    await new Promise((resolve) => request.once('close', resolve));
    await assert.rejects(readBody(request, 1000), ClientLeft, body);
  }
  server.close();
});
