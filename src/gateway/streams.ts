/** GET and DELETE /v1/streams/{id}: a stream whose connection was lost, read on from where it was, or ended. */
import type { KeyRecord } from '../accounts/keys.ts';
import { ApiError } from '../errors.ts';
import { requestIdIn, requestIdOf } from '../ids.ts';
import type { Gateway } from './call.ts';
import type { Exchange } from './exchange.ts';

/** @throws ApiError while nothing has been answered yet */
export async function readStream(
  gateway: Gateway,
  exchange: Exchange,
  name: string,
  { id: keyId, userId }: KeyRecord,
): Promise<void> {
  const owner = { account: userId, keyId };
  await gateway.kept.resume(exchange, idOf(name), owner, lastEventOf(exchange));
}

/** @throws ApiError while nothing has been answered yet */
export async function cancelStream(
  gateway: Gateway,
  exchange: Exchange,
  name: string,
  { id: keyId }: KeyRecord,
): Promise<void> {
  const cancelled = await gateway.kept.cancel(idOf(name), keyId);
  exchange.json(JSON.stringify({ id: name, object: 'stream', cancelled }));
}

/** The UUID of a stream, named as its address names it and in no other way. @throws ApiError not_found */
function idOf(name: string): string {
  const id = requestIdIn(name);
  if (id !== null && requestIdOf(id) === name) return id;
  throw new ApiError('not_found', { message: `Stream not found: ${name.slice(0, 100)}` });
}

/** The number of the last event that the client has: by the header that browsers send, or in the address. */
function lastEventOf({ request }: Exchange): number {
  const query = new URLSearchParams(request.url?.split('?')[1] ?? '').get('last_event_id');
  const text = String(request.headers['last-event-id'] ?? query ?? '0').trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ApiError('invalid_request', {
    param: 'Last-Event-ID',
    message: 'Last-Event-ID must be the id of an event of the stream: a whole number.',
  });
}
