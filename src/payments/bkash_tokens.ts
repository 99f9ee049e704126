/**
 * The token of bKash: one for all processes, kept encrypted in the database and renewed before it ends by whoever comes first.
 * bKash blocks who asks for tokens more than twice an hour. So each call is written down before it is made, and the third waits.
 */
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { seal, unseal } from '../accounts/secret.ts';
import type { Sql } from '../db/database.ts';
import { type BkashAccess, callForToken, type TokenSource, TokenUnavailable } from './bkash_api.ts';
import { dhakaStamp } from './dhaka_time.ts';
import { type Evidence, ProviderSilent } from './method.ts';

const mostCallsAnHour = 2;
/** Renewed so long before its end; ms. Of 60 minutes it is used 55. */
const marginMs = 300_000;
/** After a call for a token that was not answered; ms. */
const quietMs = 60_000;
/** Longer than the call of the one who has the lock may take; ms. */
const patienceMs = 40_000;
const lockPauseMs = 50;
const keptDays = 60;

interface Kept {
  readonly token: string;
  readonly refreshToken: string | null;
  /** Until its end, by the clock of the database; ms. */
  readonly leftMs: number;
}

export interface TokenStoreParts {
  readonly sql: Sql;
  /** The installation's. */
  readonly secret: string;
  readonly access: BkashAccess;
}

export class BkashTokens implements TokenSource {
  readonly #sql: Sql;
  readonly #secret: string;
  readonly #access: BkashAccess;
  readonly #name: string;
  /** By `performance.now()`, which no change of the clock moves. */
  #memory: { readonly token: string; readonly renewAt: number } | null = null;
  #underWay: Promise<string> | null = null;
  #quietUntil = 0;

  constructor({ sql, secret, access }: TokenStoreParts) {
    this.#sql = sql;
    this.#secret = secret;
    this.#access = access;
    // Whom bKash counts, but not the password: a new one is no new caller.
    const origin = URL.parse(access.baseUrl)?.origin ?? '';
    const who = [origin, access.username, access.appKey].join('\n');
    this.#name = `bkash ${createHash('sha256').update(who).digest('hex').slice(0, 16)}`;
  }

  async current(): Promise<string> {
    const { token, renewAt } = this.#memory ?? { token: '', renewAt: 0 };
    return performance.now() < renewAt ? token : this.#obtain(null);
  }

  async after(rejected: string): Promise<string> {
    if (this.#memory && this.#memory.token !== rejected) return this.current();
    this.#memory = null;
    const token = await this.#obtain(rejected);
    // Who was under way already may not have known that it is refused.
    return token === rejected ? this.#obtain(rejected) : token;
  }

  /** One at a time in this process; who comes meanwhile gets the same. */
  #obtain(rejected: string | null): Promise<string> {
    this.#underWay ??= this.#fromDatabase(rejected).finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  async #fromDatabase(rejected: string | null): Promise<string> {
    const fresh = (kept: Kept | null): kept is Kept =>
      kept !== null && kept.token !== rejected && kept.leftMs > marginMs;
    const kept = await this.#read(this.#sql);
    if (fresh(kept)) return this.#remember(kept);
    return this.#locked(async (sql) => {
      const now = await this.#read(sql);
      return this.#remember(fresh(now) ? now : await this.#renewed(sql, now, rejected));
    });
  }

  #remember({ token, leftMs }: Kept): string {
    // One that could not be renewed in time is asked for again soon, and used meanwhile.
    const useMs = leftMs > marginMs ? leftMs - marginMs : Math.min(leftMs, quietMs);
    this.#memory = { token, renewAt: performance.now() + useMs };
    return token;
  }

  /** @throws TokenUnavailable */
  async #renewed(sql: Sql, kept: Kept | null, rejected: string | null): Promise<Kept> {
    try {
      if (kept?.refreshToken) {
        const renewed = await this.#asked(sql, kept.refreshToken);
        if (renewed) return renewed;
      }
      const granted = await this.#asked(sql, null);
      if (granted) return granted;
      throw unavailable('bKash refuses our credentials. Please pay in another way.', null);
    } catch (error) {
      const usable = kept && kept.token !== rejected && kept.leftMs > 0;
      if (usable && error instanceof TokenUnavailable) return kept;
      throw error;
    }
  }

  /** A token from bKash, kept; null where bKash refuses it. @throws TokenUnavailable without an answer, and where asking is not allowed */
  async #asked(sql: Sql, refreshToken: string | null): Promise<Kept | null> {
    if (performance.now() < this.#quietUntil)
      throw unavailable('bKash cannot be reached at the moment. Please try again later.', null);
    const until = await this.#countCall(sql);
    if (until)
      throw unavailable(
        `Payments with bKash are not available until ${clockTime(until)} (Dhaka time). Please pay in another way.`,
        until,
      );
    try {
      const { body } = await callForToken(this.#access, refreshToken);
      const token = body.id_token;
      const seconds = Number(body.expires_in ?? 3600);
      if (typeof token !== 'string' || token === '' || !(seconds > 0)) return null;
      const renewal = body.refresh_token;
      const kept: Kept = {
        token,
        refreshToken: typeof renewal === 'string' && renewal !== '' ? renewal : refreshToken,
        leftMs: Math.min(seconds, 86_400) * 1000,
      };
      await this.#write(sql, kept);
      return kept;
    } catch (error) {
      if (!(error instanceof ProviderSilent)) throw error;
      this.#quietUntil = performance.now() + quietMs;
      throw unavailable(
        'bKash cannot be reached at the moment. Please try again later, or pay in another way.',
        null,
        error.evidence,
      );
    }
  }

  /** Writes a call down, under the lock. Returns when the next is allowed where this one is not. */
  async #countCall(sql: Sql): Promise<Date | null> {
    const rows = await sql<{ until: Date }[]>`
      SELECT at + interval '1 hour 5 seconds' AS until FROM provider_token_calls
      WHERE name = ${this.#name} AND at > clock_timestamp() - interval '1 hour 5 seconds'
      ORDER BY at DESC LIMIT ${mostCallsAnHour}`;
    const oldest = rows[mostCallsAnHour - 1];
    if (oldest) return oldest.until;
    await sql`INSERT INTO provider_token_calls (name) VALUES (${this.#name})`;
    return null;
  }

  async #read(sql: Sql): Promise<Kept | null> {
    const [row] = await sql<{ sealed: Buffer; leftMs: number }[]>`
      SELECT sealed, (extract(epoch FROM expires_at - clock_timestamp()) * 1000)::float8 AS "leftMs"
      FROM provider_tokens WHERE name = ${this.#name}`;
    const text = row && unseal(this.#secret, this.#name, row.sealed);
    if (!row || !text) return null;
    const [token = '', refreshToken = ''] = text.split('\n');
    return { token, refreshToken: refreshToken || null, leftMs: row.leftMs };
  }

  async #write(sql: Sql, { token, refreshToken, leftMs }: Kept): Promise<void> {
    const sealed = seal(this.#secret, this.#name, `${token}\n${refreshToken ?? ''}`);
    await sql`
      INSERT INTO provider_tokens (name, sealed, expires_at)
      VALUES (${this.#name}, ${sealed}, clock_timestamp() + ${leftMs}::float8 * interval '1 ms')
      ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at`;
    // Those of a stand-in are of no use to its successor.
    await sql`DELETE FROM provider_tokens WHERE expires_at < now() - ${keptDays} * interval '1 day'`;
    await sql`DELETE FROM provider_token_calls WHERE at < now() - ${keptDays} * interval '1 day'`;
  }

  /** Runs `work` while no other process does. Whoever waits holds no connection meanwhile. */
  async #locked(work: (sql: Sql) => Promise<Kept | string>): Promise<string> {
    const giveUp = performance.now() + patienceMs;
    for (;;) {
      const done = await this.#tryLocked(work);
      if (done !== null) return String(done);
      if (performance.now() > giveUp)
        throw unavailable('bKash cannot be reached at the moment. Please try again later.', null);
      await sleep(lockPauseMs);
    }
  }

  async #tryLocked<T>(work: (sql: Sql) => Promise<T>): Promise<T | null> {
    const sql = await this.#sql.reserve();
    try {
      const [row] = await sql<{ mine: boolean }[]>`
        SELECT pg_try_advisory_lock(hashtextextended(${this.#name}, 0)) AS mine`;
      if (!row?.mine) return null;
      try {
        return await work(sql);
      } finally {
        // With its connection the lock is gone, too.
        await sql`SELECT pg_advisory_unlock(hashtextextended(${this.#name}, 0))`.catch(() => {});
      }
    } finally {
      sql.release();
    }
  }
}

/** `14:35`, rounded up. */
function clockTime(moment: Date): string {
  const [, hour, minute] =
    /^\d{8}(\d\d)(\d\d)/.exec(dhakaStamp(new Date(moment.getTime() + 59_999))) ?? [];
  return `${hour}:${minute}`;
}

function unavailable(message: string, until: Date | null, evidence?: Evidence): TokenUnavailable {
  const none: Evidence = { operation: 'token', httpStatus: null, ms: 0, code: null, body: null };
  return new TokenUnavailable(message, until, evidence ?? { ...none, body: { until } });
}
