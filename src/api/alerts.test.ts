/** Alerts through a real server: who signs in sets them, sees a secret once, and cannot name a place that is not theirs to name. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import { newVisitor, refused, Visitor } from '../../test/site_visitor.ts';

const installation = await startInstallation();
const { origin } = installation;
after(() => installation.remove());

test('alerts are set, shown, and ended', async () => {
  const visitor = await newVisitor(origin);
  const put = (body: unknown) => visitor.ask('PUT', '/api/alerts', body);
  refused(await new Visitor(origin).get('/api/alerts'), 401, 'missing_session');
  assert.equal((await visitor.get('/api/alerts')).body.threshold, null);
  refused(
    await put({ threshold: 2, webhookUrl: 'ftp://example.com' }),
    400,
    'invalid_request',
    'webhookUrl',
  );
  refused(await put({ threshold: '-1' }), 400, 'invalid_request', 'threshold');
  const set = await put({ threshold: '2.50', webhookUrl: 'https://example.com/hook' });
  assert.equal(set.status, 200);
  assert.match(String(set.body.webhookSecret), /^whsec_[\w-]{43}$/);
  const { body } = await visitor.get('/api/alerts');
  assert.deepEqual(
    [body.threshold, body.mail, body.webhookUrl],
    [2.5, true, 'https://example.com/hook'],
  );
  assert.equal(body.webhookSecret, undefined);
  const renewed = await put({
    threshold: '2.50',
    webhookUrl: 'https://example.com/hook',
    newSecret: true,
  });
  assert.notEqual(renewed.body.webhookSecret, set.body.webhookSecret);
  assert.equal((await put({ threshold: null })).body.webhookUrl, null);
});
