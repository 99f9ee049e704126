/** Reads a request's body: bounded in bytes, in silence, and, over all requests, in memory. */
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../errors.ts';

/** The client went away; nobody is left to answer. */
export class ClientLeft extends Error {}

/** How long a client may send nothing in the middle of its body, to a quarter of it; ms. */
const silenceMs = 20_000;
/** Bodies beyond this that are being read at one time, together, make later ones wait outside. */
const budgetBytes = 512_000_000;
const firstBufferBytes = 16_384;

let heldBytes = 0;

/** Bodies that have not come whole, with the sweeps that each has been silent for: a timer of its own for each would cost more than all the rest here. */
const reading = new Set<Reading>();
const sweeps = 4;
let sweeper: NodeJS.Timeout | null = null;

function sweep(): void {
  for (const body of reading) body.tick();
  if (reading.size > 0) return;
  if (sweeper) clearInterval(sweeper);
  sweeper = null;
}

class Reading {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  readonly #resolve: (body: Buffer) => void;
  readonly #reject: (error: Error) => void;
  #first: Buffer | null = null;
  #gathered: Buffer = empty;
  #length = 0;
  #silentSweeps = 0;
  #isOver = false;

  constructor(
    request: IncomingMessage,
    limit: number,
    resolve: (body: Buffer) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#limit = limit;
    this.#resolve = resolve;
    this.#reject = reject;
    reading.add(this);
    sweeper ??= setInterval(sweep, silenceMs / sweeps).unref();
    request.on('data', this.#take);
    request.on('end', this.#end);
    // Also where the whole body had arrived, and the connection was closed before it was read.
    request.on('close', this.#close);
  }

  tick(): void {
    this.#silentSweeps += 1;
    if (this.#silentSweeps > sweeps) this.#request.destroy();
  }

  readonly #take = (chunk: Buffer): void => {
    this.#silentSweeps = 0;
    const end = this.#length + chunk.length;
    if (end > this.#limit) this.#refuse(tooLarge(this.#limit));
    else if (this.#length === 0) this.#first = chunk;
    else this.#gather(chunk, end);
    this.#length = end;
    if (heldBytes > budgetBytes)
      this.#refuse(new ApiError('too_many_requests_in_flight', { retryAfterMs: 1000 }));
  };

  readonly #end = (): void => {
    this.#stop();
    this.#resolve(this.#first ?? this.#gathered.subarray(0, this.#length));
  };

  readonly #close = (): void => {
    if (!this.#isOver) this.#refuse(new ClientLeft());
  };

  #gather(chunk: Buffer, end: number): void {
    if (end > this.#gathered.length) {
      const larger = Buffer.allocUnsafe(Math.max(firstBufferBytes, 2 * end));
      heldBytes += larger.length - this.#gathered.length;
      (this.#first ?? this.#gathered).copy(larger, 0, 0, this.#length);
      this.#gathered = larger;
      this.#first = null;
    }
    chunk.copy(this.#gathered, this.#length);
  }

  #refuse(error: Error): void {
    this.#stop();
    this.#reject(error);
  }

  #stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    reading.delete(this);
    heldBytes -= this.#gathered.length;
    this.#request.off('data', this.#take);
  }
}

const empty: Buffer = Buffer.alloc(0);

/**
 * The whole body. What arrives in crumbs is gathered in one growing buffer, for a crumb costs a hundred times its size.
 * @param limit bytes
 * @throws ApiError request_too_large, too_many_requests_in_flight when the budget is spent; ClientLeft
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limit) return Promise.reject(tooLarge(limit));
  // Gone while its key was looked up: nothing would ever come, not even the end.
  if (request.destroyed) return Promise.reject(new ClientLeft());
  return new Promise((resolve, reject) => {
    new Reading(request, limit, resolve, reject);
  });
}

function tooLarge(limit: number): ApiError {
  const message = `The request is too large: at most ${limit} bytes are accepted.`;
  return new ApiError('request_too_large', { message });
}
