/** Which addresses of the network messages may go to: those of the public internet only, however they are named. */
import { BlockList, isIP } from 'node:net';

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
