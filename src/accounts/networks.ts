/** Networks in CIDR notation, for the allow-list of a key, and whose address a request comes from. */

import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/** IPv4 clients of an IPv6 socket appear as ::ffff:192.0.2.1; they are the same machine. */
function unmapped(address: string): string {
  if (!address.startsWith('::') || !isIPv6(address)) return address;
  const value = addressValue(address);
  if (value >> 32n !== 0xffffn) return address;
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
}

/**
 * Reads a network or a bare address, which stands for itself alone, and writes it as PostgreSQL's `cidr` accepts it.
 * @returns null when the text is neither, or when bits are set behind the prefix (10.0.0.7/8 is more likely a slip of
 *   the pen than a wish to let sixteen million addresses in)
 */
export function parseNetwork(text: string): string | null {
  const [given = '', length, ...more] = text.trim().split('/');
  if (more.length > 0 || isIP(given) === 0 || given.includes('%')) return null;
  const address = unmapped(given);
  const cut = address === given ? 0 : 96;
  const bits = isIPv4(address) ? 32 : 128;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const prefix = length === undefined ? bits : Number(length) - cut;
  if (prefix < 0 || prefix > bits || trailingBits(address, prefix) !== 0n) return null;
  return `${address}/${prefix}`;
}

/** The value of the bits of an address behind a prefix. */
function trailingBits(address: string, prefix: number): bigint {
  const bits = isIPv4(address) ? 32 : 128;
  return addressValue(address) & ((1n << BigInt(bits - prefix)) - 1n);
}

function addressValue(address: string): bigint {
  if (isIPv4(address))
    return address.split('.').reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  const dotted = /\d+\.\d+\.\d+\.\d+$/.exec(address)?.[0];
  const low = dotted ? addressValue(dotted) : 0n;
  const hexadecimal = dotted
    ? address.replace(dotted, `${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`)
    : address;
  const [head = '', tail] = hexadecimal.split('::');
  const before = head.split(':').filter((group) => group !== '');
  const after = (tail ?? '').split(':').filter((group) => group !== '');
  const middle = tail === undefined ? [] : Array(8 - before.length - after.length).fill('0');
  return [...before, ...middle, ...after].reduce(
    (value: bigint, group: string) => (value << 16n) | BigInt(`0x${group}`),
    0n,
  );
}

/**
 * A test for "does the address lie in one of these networks", prepared once for many calls.
 * @param networks as `parseNetwork` or PostgreSQL writes them; none at all lets every address in
 */
export function networkTest(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => true;
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    list.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return (address) => {
    const plain = unmapped(address);
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
  };
}

/**
 * The address of the client: that of the socket, or, behind `trustedProxies` proxies, the entry that the outermost
 * of them wrote. What stands further left was sent by the client and proves nothing.
 */
export function clientAddress(request: IncomingMessage, trustedProxies: number): string {
  const socket = request.socket.remoteAddress ?? '';
  if (trustedProxies === 0) return socket;
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  return forwarded.at(-trustedProxies) ?? socket;
}

/**
 * What one customer of a network operator has, for counting what comes from there: an IPv4 address, or the first 64 bits
 * of an IPv6 address, whose rest a machine may choose anew for each request.
 */
export function neighbourhood(address: string): string {
  const plain = unmapped(address);
  if (!isIPv6(plain)) return plain;
  return `${(addressValue(plain) >> 64n).toString(16)}::/64`;
}
