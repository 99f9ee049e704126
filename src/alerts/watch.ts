/** Looks at balances every while, tells those who asked for it, and sends what is on its way; any number of processes may do so. */
import { createHmac } from 'node:crypto';
import type { Reach } from '../accounts/public_address.ts';
import { unseal } from '../accounts/secret.ts';
import type { Sql } from '../db/database.ts';
import { timeOrderedId } from '../ids.ts';
import type { Log } from '../log.ts';
import { compose } from '../mail/compose.ts';
import { enqueueMail, type Language } from '../mail/outbox.ts';
import { exactUsd, formatUsd, type Nano } from '../wallet/money.ts';
import { lowBalance, webhookGivenUp } from './letters.ts';
import { send } from './send.ts';
import { sealName } from './settings.ts';

export interface WatchSettings {
  readonly sql: Sql;
  /** The installation's. */
  readonly secret: string;
  readonly sandbox: boolean;
  readonly reach: Reach;
  /** Address of the site. */
  readonly origin: () => string;
  readonly log: Log;
  readonly everyMs?: number;
}

const usualEveryMs = 30_000;
/** Waits after each failure; after the last of them it is given up: ten hours in all. */
const retryMs = [10_000, 60_000, 300_000, 1_800_000, 7_200_000, 25_200_000] as const;
/** How long a process may take to send what it has claimed; ms. */
const claimMs = 60_000;
const mostAtOnce = 20;
/** What was delivered or given up is kept for so long. */
const keptFor = '30 days';
const pruneEveryMs = 3_600_000;

interface Fallen {
  readonly userId: string;
  readonly email: string;
  readonly language: Language;
  readonly balance: Nano;
  readonly threshold: Nano;
  readonly mail: boolean;
  readonly webhook: boolean;
}

interface Message {
  readonly id: string;
  readonly userId: string;
  readonly body: string;
  readonly tries: number;
  readonly url: string | null;
  readonly sealed: Buffer | null;
}

/** The header that proves a message: `t=` seconds, `v1=` HMAC-SHA256 of `seconds.body` in hexadecimal. */
function signature(secret: string, body: string, seconds: number): string {
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}

export class BalanceWatch {
  readonly #settings: WatchSettings;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #pruneAt = 0;

  constructor(settings: WatchSettings) {
    this.#settings = settings;
  }

  start(): void {
    this.#plan();
  }

  /** Waits for what is being sent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  #plan(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run().then(() => this.#plan());
    }, this.#settings.everyMs ?? usualEveryMs);
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    try {
      await this.look();
      await this.deliver();
      if (performance.now() >= this.#pruneAt) await this.prune();
    } catch (error) {
      this.#settings.log('warn', 'low balances could not be told', error);
    }
  }

  /** Writes down whom to tell, in the transaction that notes that they are told. */
  async look(): Promise<void> {
    const { sql, sandbox, origin } = this.#settings;
    await sql.begin(async (transaction) => {
      const fallen = await transaction<Fallen[]>`
        SELECT user_id AS "userId", email, language, balance, threshold, mail, webhook FROM balance_alerts_turn()`;
      for (const { userId, email: to, language, balance, threshold, ...wish } of fallen) {
        const id = timeOrderedId();
        const createdAt = new Date().toISOString();
        const amounts = { balance: exactUsd(balance), threshold: exactUsd(threshold) };
        const body = JSON.stringify({
          id,
          type: 'balance.low',
          createdAt,
          ...amounts,
          currency: 'USD',
          sandbox,
        });
        if (wish.webhook)
          await transaction`INSERT INTO alert_messages (id, user_id, body) VALUES (${id}, ${userId}, ${body})`;
        if (!wish.mail) continue;
        const letter = lowBalance(
          language,
          formatUsd(balance),
          formatUsd(threshold),
          `${origin()}/docs/top-up`,
        );
        const content = compose(language, letter, sandbox);
        await enqueueMail(transaction, { to, language, key: `low balance ${id}`, ...content });
      }
    });
  }

  /** Sends what is due. */
  async deliver(): Promise<void> {
    const { sql } = this.#settings;
    while (!this.#stopped) {
      const due = await sql<Message[]>`
        UPDATE alert_messages m SET tries = tries + 1, next_at = now() + ${claimMs} * interval '1 ms'
        FROM (
          SELECT d.id, b.webhook_url, b.webhook_secret FROM alert_messages d LEFT JOIN balance_alerts b ON b.user_id = d.user_id
          WHERE d.next_at <= now() ORDER BY d.next_at LIMIT ${mostAtOnce} FOR UPDATE OF d SKIP LOCKED
        ) d WHERE m.id = d.id
        RETURNING m.id, m.user_id AS "userId", m.body, m.tries, d.webhook_url AS url, d.webhook_secret AS sealed`;
      if (due.length === 0) return;
      await Promise.all(due.map((message) => this.#send(message)));
    }
  }

  /** Deletes what is long over. */
  async prune(): Promise<void> {
    await this.#settings.sql`
      DELETE FROM alert_messages WHERE next_at IS NULL AND created_at < now() - ${keptFor}::interval`;
    this.#pruneAt = performance.now() + pruneEveryMs;
  }

  async #send(message: Message): Promise<void> {
    const { sql, secret, reach } = this.#settings;
    const { id, userId, body, url, sealed } = message;
    const key = sealed && unseal(secret, sealName(userId), sealed);
    if (!url || !key) return this.#giveUp(message, 'the webhook is not set any more');
    try {
      await send(
        url,
        body,
        {
          'content-type': 'application/json',
          'user-agent': 'AK-AI-CORE',
          'akai-message': id,
          'akai-signature': signature(key, body, Math.floor(Date.now() / 1000)),
        },
        reach,
      );
      await sql`
        UPDATE alert_messages SET delivered_at = now(), next_at = NULL, last_error = NULL WHERE id = ${id}`;
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, 300);
      const waitMs = retryMs[message.tries - 1];
      if (waitMs === undefined) return this.#giveUp(message, reason);
      await sql`
        UPDATE alert_messages SET next_at = now() + ${waitMs} * interval '1 ms', last_error = ${reason} WHERE id = ${id}`;
    }
  }

  /** Loudly: in the log, at the account, and by mail. */
  async #giveUp({ id, userId, tries }: Message, reason: string): Promise<void> {
    const { sql, log, sandbox } = this.#settings;
    log(
      'warn',
      `webhook of account ${userId}: message ${id} was given up after ${tries} tries: ${reason}`,
    );
    await sql.begin(async (transaction) => {
      await transaction`
        UPDATE alert_messages SET failed_at = now(), next_at = NULL, last_error = ${reason} WHERE id = ${id}`;
      const [owner] = await transaction<{ to: string; language: Language }[]>`
        SELECT email AS "to", language FROM users WHERE id = ${userId}`;
      if (!owner) return;
      const content = compose(owner.language, webhookGivenUp(owner.language, reason), sandbox);
      await enqueueMail(transaction, { ...owner, key: `webhook given up ${id}`, ...content });
    });
  }
}
