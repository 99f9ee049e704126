/** Ids of requests and of transfers: those made later sort later. */
import { randomUUID } from 'node:crypto';

/** UUID, version 7: the time in ms, then random. Node's own came with Node 26, and 24 has to do. */
export function timeOrderedId(): string {
  return `${timePart(Date.now())}-7${randomUUID().slice(15)}`;
}

/** What an id of this moment (ms since 1970) begins with. */
function timePart(ms: number): string {
  const digits = ms.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}

/** At or below every id of this moment and of later ones, above those of earlier ones. @param ms since 1970 */
export function lowestIdAt(ms: number): string {
  return `${timePart(ms)}-0000-0000-000000000000`;
}

/** The moment that an id begins with; ms since 1970. */
export function momentOf(id: string): number {
  return Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
}

/** Whether a text is a UUID as PostgreSQL writes it, in either case. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** What users see of an id, quote to support, and find on receipts: `req_` and its 32 hexadecimal digits. @param id with or without hyphens */
export function requestIdOf(id: string): string {
  return `req_${id.replaceAll('-', '')}`;
}

/** The UUID in what users quote: `req_…`, `chatcmpl-…` or the id by itself; null where there is none. */
export function requestIdIn(text: string): string | null {
  const digits = text
    .replace(/^(?:chatcmpl-|req_)/, '')
    .replaceAll('-', '')
    .toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(digits)) return null;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
