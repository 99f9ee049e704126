/**
 * Sends one message to an address that a user gave: to the public internet only, by the address that was looked at and no other,
 * without following anybody elsewhere, bounded in time; nothing of the answer but its status is read.
 */
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { publicLookup, type Reach, whyNotThere } from '../accounts/public_address.ts';

const timeoutMs = 10_000;

/**
 * Resolves when the other side has taken it, with a status of 2xx.
 * @throws Error with a short reason otherwise
 */
export function send(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  reach: Reach,
): Promise<void> {
  const refusal = whyNotThere(url, reach);
  if (refusal) return Promise.reject(new Error(refusal));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ask = url.startsWith('https:') ? request : plainRequest;
  const asked = ask(url, {
    method: 'POST',
    agent: false,
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    signal: AbortSignal.timeout(timeoutMs),
    ...(reach.anywhere ? {} : { lookup: publicLookup }),
  });
  asked.on('response', (response) => {
    const status = response.statusCode ?? 0;
    response.destroy();
    if (status >= 200 && status < 300) resolve();
    else reject(new Error(`it answered with status ${status}`));
  });
  asked.on('error', (error) => {
    const { name } = error;
    reject(
      name === 'TimeoutError' || name === 'AbortError'
        ? new Error('it did not answer in time')
        : error,
    );
  });
  asked.end(body);
  return promise;
}
