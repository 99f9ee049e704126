/** The receipt of a payment is for its owner, once it is credited. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { startInstallation } from '../../test/installation.ts';
import { newVisitor, refused, Visitor } from '../../test/site_visitor.ts';

const installation = await startInstallation();
const { origin } = installation;
after(() => installation.remove());

test('a payment that is not credited has none, and another account sees none at all', async () => {
  const visitor = await newVisitor(origin);
  const begun = await visitor.post('/api/topups', { method: 'bkash', taka: 500 });
  assert.equal(begun.status, 201, JSON.stringify(begun.body));
  const path = `/api/topups/${begun.body.id}/receipt.pdf`;
  refused(await visitor.get(path), 409, 'payment_not_credited');
  refused(await (await newVisitor(origin)).get(path), 403, 'user_mismatch');
  refused(await new Visitor(origin).get(path), 401, 'missing_session');
  refused(await visitor.get(`/api/topups/${randomUUID()}/receipt.pdf`), 404, 'not_found');
});
