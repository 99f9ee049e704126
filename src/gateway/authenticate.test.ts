/** Whose address counts, and what is taken for a key. */
import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { clientAddress } from '../accounts/networks.ts';
import { presentedKey } from './authenticate.ts';

function requestWith(headers: Record<string, string>, address = '192.0.2.1'): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: address });
  const request = new IncomingMessage(socket);
  Object.assign(request.headers, headers);
  return request;
}

test('the address is that of the socket, or what the outermost of our own proxies wrote', () => {
  const request = requestWith({ 'x-forwarded-for': '6.6.6.6, 203.0.113.7,198.51.100.2' });
  assert.equal(clientAddress(request, 0), '192.0.2.1');
  assert.equal(clientAddress(request, 1), '198.51.100.2');
  assert.equal(clientAddress(request, 2), '203.0.113.7');
  assert.equal(clientAddress(requestWith({ 'x-forwarded-for': '203.0.113.7' }), 2), '192.0.2.1');
  assert.equal(clientAddress(requestWith({}), 1), '192.0.2.1');
});

test('a key is what follows "Bearer", whatever its case; none is not an empty one', () => {
  assert.equal(presentedKey(undefined), null);
  assert.equal(presentedKey('Bearer abc'), 'abc');
  assert.equal(presentedKey('bearer  abc '), 'abc');
  for (const authorization of ['abc', 'Basic abc', 'Bearer', 'Bearer a b', "Bearer a' OR 1=1 --"])
    assert.equal(presentedKey(authorization), '');
});
