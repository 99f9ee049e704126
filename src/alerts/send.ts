/**
 * Sends one message to an address that a user gave: to the public internet only, by the address that was looked at and no other,
 * without following anybody elsewhere, bounded in time; nothing of the answer but its status is read.
 */
import { lookup } from 'node:dns';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type Config, isLoopback } from '../config.ts';
import { isPublicAddress } from './public_address.ts';

const timeoutMs = 10_000;

export interface Reach {
  /** Also http, and addresses of this machine and its network: for sandboxes that nobody else reaches. */
  readonly anywhere: boolean;
}

/** A sandbox that others may reach must not be sent to whatever is beside it. */
export function reachOf({ mode, publicUrl, host }: Config): Reach {
  return { anywhere: mode === 'sandbox' && publicUrl === '' && isLoopback(host) };
}

/** Why a message cannot go there, as a sentence; null where it may. Names are looked up later, each time. */
export function whyNotThere(text: string, { anywhere }: Reach): string | null {
  if (!URL.canParse(text)) return 'This is no address.';
  const { protocol, username, password, hostname } = new URL(text);
  if (protocol !== 'https:' && !(anywhere && protocol === 'http:'))
    return 'The address must begin with https://.';
  if (username || password) return 'The address must not have a name or password in it.';
  const bare = hostname.replace(/^\[|\]$/g, '');
  if (!anywhere && (isIP(bare) ? !isPublicAddress(bare) : !bare.includes('.')))
    return 'The address must be one of the public internet.';
  return null;
}

/** Names become addresses here and nowhere else, so that what is connected to is what was looked at. */
export const publicLookup: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { all: true }, (error, found) => {
    const [first] = found ?? [];
    if (error || !first) return done(error ?? new Error(`${hostname} has no address`), '', 0);
    const foreign = found.find(({ address }) => !isPublicAddress(address));
    if (foreign) return done(new Error(`${hostname} leads to a private address`), '', 0);
    if (options.all) return done(null, found, first.family);
    return done(null, first.address, first.family);
  });
};

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
