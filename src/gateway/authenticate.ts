/** Key → account, from memory. A change of a key reaches every process through NOTIFY, well within a second. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { findKeyByHash, hashKey, type KeyRecord, keyLooksRight } from '../accounts/keys.ts';
import { clientAddress, networkTest } from '../accounts/networks.ts';
import type { Sql } from '../db/database.ts';
import { ApiError, databaseUnavailable } from '../errors.ts';

import type { OwnKeys } from './own_keys.ts';
import type { OwnOffers } from './target.ts';

/** Whose key it is, and what else is known of who asks. */
export interface Asker extends KeyRecord {
  /** Keys for providers that the account brought itself; null where it has none. */
  readonly own: OwnOffers | null;
}

export interface KeyEntry {
  readonly record: Asker;
  /** Ms since the epoch; infinity for a key that does not expire. */
  readonly expiresAt: number;
  readonly allowsAddress: (address: string) => boolean;
}

interface Cached {
  /** Null: there is no such key. */
  readonly entry: KeyEntry | null;
  readonly readAt: number;
}

/** Keys that one process remembers; beyond it, it forgets them all and asks again. */
const mostCached = 100_000;
const mostMisses = 10_000;
/** Should a notification ever be lost without the connection breaking, this bounds the harm; ms. */
const freshForMs = 60_000;
const channel = 'api_keys';

/** What a connection asked with last: the next request on it mostly has the same key, which then need not be hashed again. */
interface Remembered {
  readonly header: string;
  readonly entry: KeyEntry;
  readonly changes: number;
  readonly until: number;
}

export class KeyDirectory {
  readonly #sql: Sql;
  readonly #demoAllowed: boolean;
  readonly #ownKeys: OwnKeys;
  readonly #cached = new Map<string, Cached>();
  readonly #asked = new Map<string, Promise<KeyEntry | null>>();
  readonly #remembered = new WeakMap<Socket, Remembered>();
  /** Keys in `#cached` that do not exist, at most. */
  #misses = 0;
  /** Rises with every change, so that an answer read before it is not remembered. */
  #changes = 0;

  constructor(sql: Sql, demoAllowed: boolean, ownKeys: OwnKeys) {
    this.#sql = sql;
    this.#demoAllowed = demoAllowed;
    this.#ownKeys = ownKeys;
  }

  /** Begins to listen for changes. @throws what the driver throws */
  async start(): Promise<void> {
    await this.#sql.listen(
      channel,
      (hash) => {
        this.#changes += 1;
        this.#cached.delete(hash);
      },
      // Also after each reconnection: what was said meanwhile was not heard.
      () => {
        this.#changes += 1;
        this.#cached.clear();
      },
    );
  }

  /** The key that this connection asked with before, by the same header; null where anything may have changed. */
  recall(socket: Socket, header: string): KeyEntry | null {
    const known = this.#remembered.get(socket);
    const isValid =
      known !== undefined &&
      known.header === header &&
      known.changes === this.#changes &&
      performance.now() < known.until;
    return isValid ? known.entry : null;
  }

  remember(socket: Socket, header: string, entry: KeyEntry): void {
    const until = performance.now() + freshForMs;
    this.#remembered.set(socket, { header, entry, changes: this.#changes, until });
  }

  /** The key with this text; null when there is none. Only a key that was not seen lately waits for the database. */
  find(key: string): KeyEntry | null | Promise<KeyEntry | null> {
    const hash = hashKey(key).toString('hex');
    const cached = this.#cached.get(hash);
    if (cached && performance.now() - cached.readAt < freshForMs) return cached.entry;
    if (!keyLooksRight(key)) return null;
    const asked = this.#asked.get(hash);
    if (asked) return asked;
    const question = this.#ask(hash, cached ?? null).finally(() => this.#asked.delete(hash));
    this.#asked.set(hash, question);
    return question;
  }

  #forgetMisses(): void {
    this.#misses = 0;
    for (const [hash, { entry }] of this.#cached) if (!entry) this.#cached.delete(hash);
  }

  async #read(hash: Buffer): Promise<Asker | null> {
    const record = await findKeyByHash(this.#sql, hash);
    if (!record || (record.demo && !this.#demoAllowed)) return null;
    return { ...record, own: await this.#ownKeys.of(record.userId) };
  }

  async #ask(hash: string, stale: Cached | null): Promise<KeyEntry | null> {
    const changes = this.#changes;
    let known: Asker | null;
    try {
      known = await this.#read(Buffer.from(hash, 'hex'));
    } catch (cause) {
      // A database that is away must never turn a good key into a bad one.
      if (stale && changes === this.#changes) return stale.entry;
      throw databaseUnavailable(cause);
    }
    const entry = known && {
      record: known,
      expiresAt: known.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
      allowsAddress: networkTest(known.allowedNetworks),
    };
    if (changes === this.#changes) {
      // Keys that do not exist must not push out those that do.
      if (!entry) this.#misses += 1;
      if (this.#misses > mostMisses) this.#forgetMisses();
      if (this.#cached.size >= mostCached) this.#cached.clear();
      this.#cached.set(hash, { entry, readAt: performance.now() });
    }
    return entry;
  }
}

/** The text of the key in an Authorization header; null where there is none. */
export function presentedKey(header: string | undefined): string | null {
  if (!header) return null;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  return match?.[1] ?? '';
}

const noBearer =
  'Invalid API key: the header must have the word Bearer before the key, as in "Authorization: Bearer sk-or-…".';

/**
 * Who is asking.
 * @throws ApiError 401 without a good key, 403 from an address that the key does not allow
 */
export async function authenticate(
  directory: KeyDirectory,
  request: IncomingMessage,
  trustedProxies: number,
): Promise<KeyEntry> {
  const header = request.headers.authorization;
  let entry = header ? directory.recall(request.socket, header) : null;
  if (!entry) {
    const text = presentedKey(header);
    if (text === null) throw new ApiError('missing_api_key');
    if (text === '') throw new ApiError('invalid_api_key', { message: noBearer });
    const found = directory.find(text);
    entry = found instanceof Promise ? await found : found;
    if (!entry) throw new ApiError('invalid_api_key');
    // What was waited for may have been changed meanwhile.
    if (header && entry === found) directory.remember(request.socket, header, entry);
  }
  if (entry.record.revokedAt) throw new ApiError('revoked_api_key');
  if (entry.expiresAt <= Date.now()) throw new ApiError('expired_api_key');
  if (!entry.allowsAddress(clientAddress(request, trustedProxies)))
    throw new ApiError('ip_not_allowed');
  return entry;
}
