/** The outbox: a mail is written in the transaction of what it tells about, and is sent if, and only if, that is committed. */

import type { Sql, Statements } from '../db/database.ts';
import { timeOrderedId } from '../ids.ts';

export type Language = 'en' | 'bn';

export interface Attachment {
  readonly name: string;
  /** Such as application/pdf. */
  readonly type: string;
  readonly content: Buffer;
}

export interface Content {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface Mail extends Content {
  /** Address of the recipient. */
  readonly to: string;
  readonly language: Language;
  /** What it is about, such as `receipt 0197…`: of two mails with the same key the second is not written. No secrets. */
  readonly key: string;
  readonly attachments?: readonly Attachment[];
}

/** A subject or an address is one line, whatever came from people. */
function oneLine(text: string): string {
  return text.replace(/[\r\n\0]+/g, ' ').trim();
}

/** Puts a mail into the outbox. @param sql a pool, or the transaction that it belongs to */
export async function enqueueMail(sql: Statements, mail: Mail): Promise<void> {
  const { to, language, key, subject, text, html, attachments = [] } = mail;
  const id = timeOrderedId();
  const written = await sql`
    INSERT INTO mails (id, key, recipient, language, subject, plain, html)
    VALUES (${id}, ${key}, ${oneLine(to)}, ${language}, ${oneLine(subject)}, ${text}, ${html})
    ON CONFLICT (key) DO NOTHING RETURNING id`;
  if (written.length === 0) return;
  for (const [place, { name, type, content }] of attachments.entries())
    await sql`
      INSERT INTO mail_attachments (mail_id, place, name, type, content)
      VALUES (${id}, ${place}, ${oneLine(name)}, ${type}, ${content})`;
}

export interface OutgoingMail extends Mail {
  readonly id: string;
  readonly tries: number;
  readonly createdAt: Date;
}

const mostAtOnce = 5;
/** How long a server may take to send what it has claimed, before another tries; ms. */
const claimMs = 5 * 60_000;

/** Claims what is due; nobody else gets it until the claim is over. */
export async function claimMails(sql: Sql): Promise<OutgoingMail[]> {
  const mails = await sql<Omit<OutgoingMail, 'attachments'>[]>`
    UPDATE mails SET tries = tries + 1, next_at = now() + ${claimMs} * interval '1 ms'
    WHERE id IN (
      SELECT id FROM mails WHERE sent_at IS NULL AND failed_at IS NULL AND next_at <= now()
      ORDER BY next_at, id LIMIT ${mostAtOnce} FOR UPDATE SKIP LOCKED
    )
    RETURNING id, key, recipient AS "to", language, subject, plain AS text, html, tries, created_at AS "createdAt"`;
  return Promise.all(
    mails.map(async (mail) => ({ ...mail, attachments: await attachmentsOf(sql, mail.id) })),
  );
}

export async function attachmentsOf(sql: Sql, id: string): Promise<Attachment[]> {
  return await sql<Attachment[]>`
    SELECT name, type, content FROM mail_attachments WHERE mail_id = ${id} ORDER BY place`;
}

/** Its content is not kept: there are links in mails that let somebody in. */
export async function noteSent(sql: Sql, id: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`
      UPDATE mails SET sent_at = now(), plain = '', html = '', failure = NULL WHERE id = ${id}`;
    await transaction`DELETE FROM mail_attachments WHERE mail_id = ${id}`;
  });
}

/** @param retryMs until the next try; null: it is given up */
export async function noteFailed(
  sql: Sql,
  id: string,
  failure: string,
  retryMs: number | null,
): Promise<void> {
  await sql`
    UPDATE mails SET failure = ${failure.slice(0, 500)},
      next_at = now() + ${retryMs ?? 0} * interval '1 ms',
      failed_at = CASE WHEN ${retryMs === null} THEN now() END
    WHERE id = ${id}`;
}

export interface KeptMail {
  readonly id: string;
  readonly to: string;
  readonly language: Language;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly createdAt: Date;
  readonly sentAt: Date | null;
  readonly failure: string | null;
}

const kept = (sql: Sql) => sql`
  id, recipient AS "to", language, subject, plain AS text, html, created_at AS "createdAt",
  sent_at AS "sentAt", failure`;

/** The latest, newest first. */
export async function latestMails(sql: Sql, most: number): Promise<KeptMail[]> {
  return await sql<KeptMail[]>`SELECT ${kept(sql)} FROM mails ORDER BY id DESC LIMIT ${most}`;
}

export async function findMail(sql: Sql, id: string): Promise<KeptMail | null> {
  const [mail] = await sql<KeptMail[]>`SELECT ${kept(sql)} FROM mails WHERE id = ${id}`;
  return mail ?? null;
}

/** How many wait, for how long the oldest has, and how many were given up within a week. */
export async function outboxState(
  sql: Sql,
): Promise<{ waiting: number; oldestMinutes: number; givenUp: number }> {
  const [state] = await sql<{ waiting: number; oldestMinutes: number; givenUp: number }[]>`
    SELECT count(*) FILTER (WHERE sent_at IS NULL AND failed_at IS NULL) AS waiting,
      coalesce(floor(extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NULL AND failed_at IS NULL)) / 60), 0)::int
        AS "oldestMinutes",
      count(*) FILTER (WHERE failed_at > now() - interval '7 days') AS "givenUp"
    FROM mails WHERE sent_at IS NULL`;
  return state ?? { waiting: 0, oldestMinutes: 0, givenUp: 0 };
}
