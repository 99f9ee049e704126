/** Ids of requests and of transfers: those made later sort later. */
import { randomUUID } from 'node:crypto';

/** UUID, version 7: the time in ms, then random. Node's own came with Node 26, and 24 has to do. */
export function timeOrderedId(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

/** What users see of an id, quote to support, and find on receipts: `req_` and its 32 hexadecimal digits. */
export function requestIdOf(id: string): string {
  return `req_${id.replaceAll('-', '')}`;
}
