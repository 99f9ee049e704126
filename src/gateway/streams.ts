/** GET and DELETE /v1/streams/{id}: a stream whose connection was lost, read on from where it was, or ended. */
import type { Owner } from '../answers/store.ts';
import { ApiError } from '../errors.ts';
import { authenticate } from './authenticate.ts';
import type { Gateway } from './call.ts';
import type { Exchange } from './exchange.ts';

/** @throws ApiError while nothing has been answered yet */
export async function readStream(
  gateway: Gateway,
  exchange: Exchange,
  name: string,
): Promise<void> {
  await admitted(gateway, exchange, (owner) =>
    gateway.kept.resume(exchange, idOf(name), owner, lastEventOf(exchange)),
  );
}

/** @throws ApiError while nothing has been answered yet */
export async function cancelStream(
  gateway: Gateway,
  exchange: Exchange,
  name: string,
): Promise<void> {
  await admitted(gateway, exchange, async ({ keyId }) => {
    const id = idOf(name);
    const cancelled = await gateway.kept.cancel(id, keyId);
    exchange.json(JSON.stringify({ id: name, object: 'stream', cancelled }));
  });
}

async function admitted(
  gateway: Gateway,
  exchange: Exchange,
  handle: (owner: Owner) => Promise<void>,
): Promise<void> {
  const { record } = await authenticate(gateway.keys, exchange.request, gateway.trustedProxies);
  exchange.preferErrorFormat(record.errorFormat);
  const leave = gateway.limits.admit(record.id, record.userId, (headers) =>
    exchange.addHeaders(headers),
  );
  try {
    await handle({ account: record.userId, keyId: record.id });
  } finally {
    leave();
  }
}

/** `req_` and 32 hexadecimal digits → UUID. @throws ApiError not_found */
function idOf(name: string): string {
  const [, a, b, c, d, e] =
    /^req_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(name) ?? [];
  if (!a) throw new ApiError('not_found', { message: `Stream not found: ${name.slice(0, 100)}` });
  return [a, b, c, d, e].join('-');
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
