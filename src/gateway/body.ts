/** Reads a request's body: bounded in bytes, in silence, and, over all requests, in memory. */
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../errors.ts';

/** The client went away; nobody is left to answer. */
export class ClientLeft extends Error {}

/** How long a client may send nothing in the middle of its body; ms. */
const silenceMs = 20_000;
/** Bodies beyond this that are being read at one time, together, make later ones wait outside. */
const budgetBytes = 512_000_000;
const firstBufferBytes = 16_384;

let heldBytes = 0;

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
    let first: Buffer | null = null;
    let gathered: Buffer = Buffer.alloc(0);
    let length = 0;
    let isOver = false;
    const silence = setTimeout(() => request.destroy(), silenceMs);
    const stop = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(silence);
      heldBytes -= gathered.length;
      request.off('data', take);
    };
    const give = (body: Buffer): void => {
      stop();
      resolve(body);
    };
    const refuse = (error: Error): void => {
      stop();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      silence.refresh();
      const end = length + chunk.length;
      if (end > limit) refuse(tooLarge(limit));
      else if (length === 0) first = chunk;
      else {
        if (end > gathered.length) {
          const larger = Buffer.allocUnsafe(Math.max(firstBufferBytes, 2 * end));
          heldBytes += larger.length - gathered.length;
          (first ?? gathered).copy(larger, 0, 0, length);
          gathered = larger;
          first = null;
        }
        chunk.copy(gathered, length);
      }
      length = end;
      if (heldBytes > budgetBytes)
        refuse(new ApiError('too_many_requests_in_flight', { retryAfterMs: 1000 }));
    };
    request.on('data', take);
    request.once('end', () => give(first ?? gathered.subarray(0, length)));
    // Also where the whole body had arrived, and the connection was closed before it was read.
    request.once('close', () => {
      if (!isOver) refuse(new ClientLeft());
    });
  });
}

function tooLarge(limit: number): ApiError {
  const message = `The request is too large: at most ${limit} bytes are accepted.`;
  return new ApiError('request_too_large', { message });
}
