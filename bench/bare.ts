/**
 * The yardstick: the least that a proxy in Node does. node:http in, undici's dispatch out; JSON parsed and written anew
 * both ways; a stream's chunks written through as they come. No key, no money, no limits, no timeouts, no care for errors.
 *
 * Usage: bare.ts ORIGIN
 */
import { createServer, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { announce, serveParent } from './messages.ts';

const pool = new Pool(process.argv[2] ?? '', { connections: null, pipelining: 1 });

/** The same part of a request's object that a proxy must know. */
interface Body {
  readonly stream?: boolean;
}

class Whole implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #chunks: Buffer[] = [];

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  // undici asks for these two, whether they do anything or not.
  onRequestStart(): void {}
  onResponseStart(): void {}

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks);
    const text = JSON.stringify(JSON.parse(body.toString()));
    this.#response.writeHead(200, [
      'content-type',
      'application/json',
      'content-length',
      String(Buffer.byteLength(text)),
    ]);
    this.#response.end(text);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#response.destroy(error);
  }
}

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) controller.abort(new Error('the client left'));
    });
  }

  onResponseStart(): void {
    this.#response.writeHead(200, ['content-type', 'text/event-stream; charset=utf-8']);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#response.destroy(error);
  }
}

const server = createServer({ noDelay: true, keepAliveTimeout: 75_000 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body: Body = JSON.parse(Buffer.concat(chunks).toString());
    pool.dispatch(
      {
        path: '/v1/chat/completions',
        method: 'POST',
        headers: ['content-type', 'application/json'],
        body: JSON.stringify(body),
      },
      body.stream ? new Relay(response) : new Whole(response),
    );
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address && typeof address === 'object') announce(address.port);
});

serveParent(() => null);
