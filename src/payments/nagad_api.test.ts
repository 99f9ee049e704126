/** Answers that are Nagad's own, or nearly, and still may not be used: given by a server that plays back whatever it is told. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { listen } from '../../test/listen.ts';
import { makePairs, type SandboxPairs, sealAnswer } from '../sandbox/nagad_seal.ts';
import { type Payer, ProviderSilent } from './method.ts';
import { complete, initialize, type NagadAccess } from './nagad_api.ts';

const merchantId = '680000000000001';
const payer: Payer = {
  reference: 'u',
  name: 'A',
  email: 'a@example.com',
  address: null,
  mobile: false,
};
let said: unknown = {};
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(said));
});
let pairs: SandboxPairs;
let access: NagadAccess;

before(async () => {
  pairs = await makePairs();
  access = {
    baseUrl: `http://127.0.0.1:${await listen(server)}/api/dfs`,
    merchantId,
    merchantNumber: '',
    keys: async () => ({
      publicKey: pairs.nagad.publicKey,
      privateKey: pairs.merchant.privateKey,
      hash: 'sha256',
    }),
    fallbackIp: '203.0.113.1',
    timeoutMs: 5000,
    now: () => new Date(),
  };
});
after(() => server.close());

describe('a reference', () => {
  const challenge = 'c88a0a5ad38f7054fcbf';
  const begin = (answer: Record<string, unknown>) => {
    said = sealAnswer({ challenge, acceptDateTime: '20260214123032', ...answer }, pairs, 'sha256');
    return initialize(access, 'TOP1', payer);
  };
  const named = (...parts: string[]) => Buffer.from(parts.join('.')).toString('base64');

  test('of this order, or of a form that says nothing, is taken', async () => {
    for (const reference of [named('0214123031123', merchantId, 'TOP1', challenge), 'MDIxNDEyMzAz'])
      assert.equal((await begin({ paymentReferenceId: reference })).reference, reference);
  });

  test('that Nagad gave for something else is not', async () => {
    for (const reference of [
      named('0214123031123', merchantId, 'TOP2', challenge),
      named('0214123031123', '680000000000002', 'TOP1', challenge),
      named('0214123031123', merchantId, 'TOP1', 'd'.repeat(20)),
      '../../verify/payment/x',
      'a b c d e f',
      '',
      null,
      5,
    ])
      await assert.rejects(
        begin({ paymentReferenceId: reference }),
        ProviderSilent,
        String(reference),
      );
    await assert.rejects(
      begin({ paymentReferenceId: 'MDIxNDEyMzAz', challenge: '' }),
      ProviderSilent,
    );
  });
});

describe('a page to pay on', () => {
  const finish = (answer: unknown) => {
    said = answer;
    const evidence = { operation: 'initialize', httpStatus: 200, ms: 1, code: null, body: null };
    const order = { orderId: 'TOP1', amount: '100.00', callback: 'https://shop.example/back' };
    return complete(access, { reference: 'MDIx', challenge: 'c', evidence }, order, payer);
  };

  test('is taken as Nagad names it', async () => {
    const callBackUrl = 'https://payment.mynagad.com:30000/check-out/MDIx';
    assert.equal((await finish({ callBackUrl, status: 'Success' })).url, callBackUrl);
  });

  test('is none without an address and the word Success', async () => {
    for (const answer of [
      {},
      { status: 'Success' },
      { callBackUrl: 'https://payment.mynagad.com/check-out/MDIx' },
      { callBackUrl: 'https://payment.mynagad.com/check-out/MDIx', status: 'Failed' },
      { callBackUrl: 'javascript:alert(1)', status: 'Success' },
      { callBackUrl: 'https://', status: 'Success' },
      { callBackUrl: ['https://payment.mynagad.com'], status: 'Success' },
      [],
      null,
    ])
      await assert.rejects(finish(answer), ProviderSilent, JSON.stringify(answer));
  });
});
