/**
 * An upstream that misbehaves on purpose, down to the bytes: it speaks raw sockets, so that nothing tidies up its answers.
 * A behaviour is a list of steps, or a function from the request to one; `hostile_behaviours.ts` has those that tests need.
 */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { listen } from './listen.ts';

export type Step =
  | string
  | Buffer
  | { readonly waitMs: number }
  | { readonly until: PromiseLike<unknown> }
  /** Never answers further; holds the connection until the client or `close` ends it. */
  | 'HANG'
  /** RST. */
  | 'RESET'
  /** FIN after what was written. */
  | 'END';

type Steps = Iterable<Step> | AsyncIterable<Step>;
export type Behaviour = Steps | ((received: Received) => Steps);

/** One request as it arrived, and what became of it. Times are `performance.now()` in ms. */
export interface Received {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The parsed body, or `null` where it is no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  /** Counts connections from 1: two requests with the same number shared one. */
  readonly connection: number;
  readonly at: number;
  /** Bytes of the answer handed to the socket, head included. */
  bytesSent: number;
  /** All steps done. */
  finished: boolean;
  /** When the client ended the connection before the answer was finished; otherwise `null`. */
  closedAt: number | null;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly gone: Promise<void>;
}

export interface Hostile {
  /** `http://127.0.0.1:PORT/v1` */
  readonly baseUrl: string;
  /** Every request since the start or the last `forget`, in order of arrival. */
  readonly received: readonly Received[];
  /** Connections open now. */
  readonly open: number;
  /** From now on every request meets this behaviour. */
  behave(behaviour: Behaviour): void;
  /** The next requests meet these, one each, before `behave`'s holds again. */
  queue(...behaviours: Behaviour[]): void;
  /** Resolves with the nth request (from 0), which may have arrived already. Rejects after 5 s. */
  request(index?: number): Promise<Received>;
  /** Empties log and queue. */
  forget(): void;
  /** Resets every connection and stops listening. */
  close(): Promise<void>;
}

interface Parsed {
  readonly head: string;
  readonly text: string;
  readonly rest: Buffer;
}

/** @returns the end of a chunked body and its bytes, or `null` while it is incomplete */
function readChunked(bytes: Buffer): { body: Buffer; end: number } | null {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (bytes.length < line + 4 + size) return null;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 4 + size;
    if (size === 0) return { body: Buffer.concat(parts), end: at };
  }
}

/** @returns one whole request from the front of `bytes`, or `null` while it is incomplete */
function parseRequest(bytes: Buffer): Parsed | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = bytes.toString('latin1', 0, end);
  const after = bytes.subarray(end + 4);
  if (/^transfer-encoding: *chunked/im.test(head)) {
    const chunked = readChunked(after);
    return chunked && { head, text: chunked.body.toString(), rest: after.subarray(chunked.end) };
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (after.length < length) return null;
  return { head, text: after.toString('utf8', 0, length), rest: after.subarray(length) };
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

function receive({ head, text }: Parsed, socket: Socket, connection: number): Received {
  const [first = '', ...lines] = head.split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return {
    method,
    path,
    headers,
    text,
    body: jsonObject(text),
    connection,
    at: performance.now(),
    bytesSent: 0,
    finished: false,
    closedAt: null,
    gone: new Promise((resolve) => socket.once('close', () => resolve())),
  };
}

async function play(steps: Steps, received: Received, socket: Socket): Promise<void> {
  for await (const step of steps) {
    if (socket.destroyed) return;
    if (step === 'HANG') await received.gone;
    else if (step === 'RESET') socket.resetAndDestroy();
    else if (step === 'END') socket.end();
    else if (typeof step === 'string' || Buffer.isBuffer(step)) {
      received.bytesSent += Buffer.byteLength(step);
      if (!socket.write(step))
        await Promise.race([once(socket, 'drain').catch(() => undefined), received.gone]);
    } else if ('waitMs' in step)
      await Promise.race([new Promise((done) => setTimeout(done, step.waitMs)), received.gone]);
    else await Promise.race([step.until, received.gone]);
  }
  // Ended by us is finished too; ended by the client is not.
  if (received.closedAt === null) received.finished = true;
}

/** Answers the requests of one connection one after the other, each with the steps that `arrive` gives. */
async function serve(
  socket: Socket,
  connection: number,
  arrive: (request: Received) => Steps,
): Promise<void> {
  let current: Received | null = null;
  const left = () => {
    if (current && !current.finished) current.closedAt ??= performance.now();
  };
  socket.setNoDelay(true);
  socket.on('error', left).on('end', left).on('close', left);
  let bytes: Buffer = Buffer.alloc(0);
  let wake = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    wake.resolve();
  });
  socket.on('close', () => wake.resolve());
  while (!socket.destroyed) {
    const parsed = parseRequest(bytes);
    if (!parsed) {
      await wake.promise;
      wake = Promise.withResolvers();
      continue;
    }
    bytes = parsed.rest;
    current = receive(parsed, socket, connection);
    await play(arrive(current), current, socket);
  }
}

/** Starts on a free port of 127.0.0.1; until `behave` is called it never answers. */
export async function startHostile(initial: Behaviour = ['HANG']): Promise<Hostile> {
  const received: Received[] = [];
  const queued: Behaviour[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  let behaviour = initial;
  let connections = 0;

  const arrive = (request: Received): Steps => {
    received.push(request);
    for (const check of waiting) check();
    const next = queued.shift() ?? behaviour;
    return typeof next === 'function' ? next(request) : next;
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // One for each request on it.
    socket.setMaxListeners(0);
    connections += 1;
    // A behaviour that throws is a fault of the test: let it be seen as an unhandled rejection.
    void serve(socket, connections, arrive);
  });
  const port = await listen(server);
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    received,
    get open() {
      return sockets.size;
    },
    behave(next) {
      behaviour = next;
    },
    queue(...behaviours) {
      queued.push(...behaviours);
    },
    request(index = 0) {
      const { promise, resolve, reject } = Promise.withResolvers<Received>();
      const timer = setTimeout(() => reject(new Error(`Request ${index} never came.`)), 5000);
      const check = () => {
        const found = received[index];
        if (found) resolve(found);
      };
      waiting.add(check);
      check();
      return promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(check);
      });
    },
    forget() {
      received.length = 0;
      queued.length = 0;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.resetAndDestroy();
      await closed;
    },
  };
}
