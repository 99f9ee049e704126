/**
 * The load generator, in a process of its own: HTTP/1.1 on bare sockets, so that it costs little beside what it measures.
 * Anything but a whole 200 is a failure, and one failure makes a run void.
 */
import { connect, type Socket } from 'node:net';
import {
  type Destination,
  type HoldPlan,
  type LoadPlan,
  type LoadResult,
  type Spread,
  serveParent,
} from './messages.ts';

interface Timing {
  /** `performance.now()` at the first byte of the body, and at its end. */
  readonly first: number;
  readonly end: number;
}

type Done = (timing: Timing) => void;

const tailLength = 64;
const none = Buffer.alloc(0);

class Connection {
  readonly #socket: Socket;
  #head: Buffer = none;
  #inBody = false;
  /** Bytes of the body to come; null where it ends by itself (chunked). */
  #left: number | null = 0;
  #tail = '';
  #first = 0;
  #done: Done | null = null;
  #fail: (error: Error) => void = () => {};
  closed = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#broken(error));
    this.#socket.on('close', () => this.#broken(new Error('the connection was closed')));
  }

  send(request: Buffer, done: Done, fail: (error: Error) => void): void {
    this.#done = done;
    this.#fail = fail;
    this.#head = none;
    this.#inBody = false;
    this.#tail = '';
    this.#first = 0;
    this.#socket.write(request);
  }

  /** Whether the first byte of the body has come. */
  get hasBegun(): boolean {
    return this.#first > 0;
  }

  destroy(): void {
    this.#fail = () => {};
    this.closed = true;
    this.#socket.destroy();
  }

  #broken(error: Error): void {
    this.closed = true;
    if (this.#done) this.#fail(error);
    this.#done = null;
  }

  #take(chunk: Buffer): void {
    const body = this.#inBody ? chunk : this.#readHead(chunk);
    if (body === null || body.length === 0) return;
    if (this.#first === 0) this.#first = performance.now();
    if (this.#left !== null) {
      this.#left -= body.length;
      if (this.#left === 0) this.#finish();
      return;
    }
    this.#tail =
      body.length >= tailLength
        ? body.toString('latin1', body.length - tailLength)
        : (this.#tail + body.toString('latin1')).slice(-tailLength);
    if (!this.#tail.endsWith('0\r\n\r\n')) return;
    if (this.#tail.includes('data: [DONE]')) this.#finish();
    else this.#broken(new Error('a stream ended without [DONE]'));
  }

  /** What stands behind the head; null while that is not whole. */
  #readHead(chunk: Buffer): Buffer | null {
    const data = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    const end = data.indexOf('\r\n\r\n');
    if (end === -1) {
      this.#head = data;
      return null;
    }
    const head = data.toString('latin1', 0, end);
    if (head.slice(9, 12) !== '200') {
      this.#broken(new Error(`not a 200: ${data.toString('latin1', 0, 600)}`));
      return null;
    }
    const at = head.indexOf('content-length: ');
    this.#left = at === -1 ? null : Number.parseInt(head.slice(at + 16), 10);
    this.#inBody = true;
    return data.subarray(end + 4);
  }

  #finish(): void {
    const done = this.#done;
    this.#done = null;
    done?.({ first: this.#first, end: performance.now() });
  }
}

/** Idle connections by port, kept from run to run: a run measures requests, not connecting. */
const idle = new Map<number, Connection[]>();

function takeConnection(port: number): Connection {
  const known = idle.get(port) ?? [];
  idle.set(port, known);
  for (;;) {
    const connection = known.pop();
    if (!connection) return new Connection(port);
    if (!connection.closed) return connection;
  }
}

function requestOf({ path, port, key }: Destination, body: string): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    `authorization: Bearer ${key}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** What the run of a plan has seen so far. */
class Run {
  readonly #plan: LoadPlan;
  readonly #request: Buffer;
  readonly #end: number[] = [];
  readonly #first: number[] = [];
  readonly #begun = performance.now();
  #inFlight = 0;
  #over = false;
  #resolve: (result: LoadResult) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly result: Promise<LoadResult>;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    this.#request = requestOf(plan, plan.body);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { shape } = plan;
    if (shape.kind === 'closed')
      for (let i = 0; i < shape.connections; i += 1) this.#repeat(takeConnection(plan.port));
    else this.#pace(scheduleOf(shape.rate, plan.seconds), 0);
  }

  get #elapsed(): number {
    return performance.now() - this.#begun;
  }

  /** One request after the other on one connection. */
  #repeat(connection: Connection): void {
    this.#send(connection, performance.now(), () => {
      if (!this.#over && this.#elapsed < this.#plan.seconds * 1000) this.#repeat(connection);
      else {
        this.#over = true;
        this.#release(connection);
      }
    });
  }

  /** Sends what is due by now: lateness of this timer counts as latency of the request, on every leg alike. */
  #pace(schedule: Float64Array, sent: number): void {
    let next = sent;
    for (let due = schedule[next]; due !== undefined && due <= this.#elapsed; ) {
      const connection = takeConnection(this.#plan.port);
      next += 1;
      if (next === schedule.length) this.#over = true;
      this.#send(connection, this.#begun + due, () => this.#release(connection));
      due = schedule[next];
    }
    if (!this.#over) setTimeout(() => this.#pace(schedule, next), 1);
  }

  #send(connection: Connection, from: number, next: () => void): void {
    this.#inFlight += 1;
    connection.send(
      this.#request,
      ({ first, end }) => {
        this.#inFlight -= 1;
        this.#first.push(first - from);
        this.#end.push(end - from);
        next();
      },
      this.#reject,
    );
  }

  #release(connection: Connection): void {
    idle.get(this.#plan.port)?.push(connection);
    if (!this.#over || this.#inFlight > 0) return;
    this.#resolve({
      completed: this.#end.length,
      seconds: this.#elapsed / 1000,
      end: spread(this.#end),
      first: spread(this.#first),
    });
  }
}

/**
 * When requests are to be sent, in ms: at random, as many users would, and the same on every leg. Even spacing would fall
 * into step with a provider that answers after a fixed time.
 */
function scheduleOf(rate: number, seconds: number): Float64Array {
  const schedule = new Float64Array(Math.max(1, Math.floor(rate * seconds)));
  let seed = 1;
  let at = 0;
  for (let i = 0; i < schedule.length; i += 1) {
    schedule[i] = at;
    // Lehmer's generator: poor, and good enough for gaps.
    seed = (seed * 48_271) % 2_147_483_647;
    at -= (Math.log(seed / 2_147_483_647) * 1000) / rate;
  }
  return schedule;
}

function spread(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

let held: Connection[] = [];
/** Connections opened in one go: more would overflow the backlog of the listening socket. */
const openTogether = 100;
const openWithinMs = 30_000;

/** Opens streams and leaves them open; resolves when each has brought its first byte. */
async function hold(plan: HoldPlan): Promise<number> {
  const request = requestOf(plan, plan.body);
  const until = performance.now() + openWithinMs;
  let failure: Error | null = null;
  while (held.length < plan.streams) {
    for (let i = 0; i < openTogether && held.length < plan.streams; i += 1) {
      const connection = new Connection(plan.port);
      connection.send(
        request,
        () => {},
        (error) => {
          failure ??= error;
        },
      );
      held.push(connection);
    }
    while (!held.every((connection) => connection.hasBegun)) {
      if (failure) throw failure;
      if (performance.now() > until) throw new Error('the streams did not all begin in time');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  return held.length;
}

function drop(): number {
  const count = held.length;
  for (const connection of held) connection.destroy();
  held = [];
  return count;
}

serveParent((question) => {
  if (question.ask === 'load') return new Run(question.plan).result;
  if (question.ask === 'hold') return hold(question.plan);
  if (question.ask === 'drop') return drop();
  throw new Error(`the generator cannot ${question.ask}`);
});
