/** Which addresses that a user gave are asked, or sent messages: those of the public internet only, however they are named. */
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { type Config, isLoopback } from '../config.ts';

const reserved = new BlockList();
for (const network of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
])
  add(network, 'ipv4');
// Within what is given out: tunnels that lead to other addresses, tests, documentation.
for (const network of ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'])
  add(network, 'ipv6');

const givenOut = new BlockList();
givenOut.addSubnet('2000::', 3, 'ipv6');

function add(network: string, family: 'ipv4' | 'ipv6'): void {
  const [address = '', bits = ''] = network.split('/');
  reserved.addSubnet(address, Number(bits), family);
}

/** @param address IPv4 or IPv6, without brackets or a zone */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !reserved.check(address, 'ipv4');
  return family === 6 && givenOut.check(address, 'ipv6') && !reserved.check(address, 'ipv6');
}

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
