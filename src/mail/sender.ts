/**
 * Sends what is in the outbox by SMTP. Every server does; a mail is claimed by one of them. One that dies between sending and
 * noting it lets the mail be sent again, under the same Message-ID: better twice than never.
 */

import { createTransport } from 'nodemailer';
import { type Config, isLoopback } from '../config.ts';
import type { Sql } from '../db/database.ts';
import type { Log } from '../log.ts';
import { claimMails, noteFailed, noteSent, type OutgoingMail } from './outbox.ts';

const usualEveryMs = 3000;
const connectMs = 10_000;
const silenceMs = 30_000;
const firstRetryMs = 60_000;
const longestRetryMs = 3_600_000;
/** After this a mail says nothing any more that its reader would want to know. */
const giveUpMs = 86_400_000;

type Transport = ReturnType<typeof createTransport>;

/** `AK AI CORE <no-reply@akaicore.space>`, or what the operator says. */
function senderOf({ mailFrom, publicUrl }: Config): string {
  if (mailFrom) return mailFrom;
  const host = publicUrl ? new URL(publicUrl).hostname : 'localhost';
  return `AK AI CORE <no-reply@${host}>`;
}

export class MailSender {
  readonly #sql: Sql;
  readonly #from: string;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #transport: Transport;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  /** @param config has an SMTP_URL */
  constructor(sql: Sql, config: Config, log: Log, everyMs = usualEveryMs) {
    this.#sql = sql;
    this.#from = senderOf(config);
    this.#log = log;
    this.#everyMs = everyMs;
    const { hostname, searchParams } = new URL(config.smtpUrl);
    this.#transport = createTransport({
      url: config.smtpUrl,
      // Links in mails let people in: not in clear text over a network, unless the operator says so in the address.
      ...(searchParams.has('requireTLS') || isLoopback(hostname) ? {} : { requireTLS: true }),
      connectionTimeout: connectMs,
      greetingTimeout: connectMs,
      socketTimeout: silenceMs,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  start(): void {
    this.#plan(0);
  }

  /** Lets the mail that is being sent get through. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
    this.#transport.close();
  }

  #plan(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#sendAll();
    }, ms);
    this.#timer.unref();
  }

  async #sendAll(): Promise<void> {
    try {
      for (;;) {
        const mails = this.#stopped ? [] : await claimMails(this.#sql);
        if (mails.length === 0) break;
        for (const mail of mails) await this.#send(mail);
      }
    } catch (error) {
      this.#log('warn', 'the outbox could not be read', error);
    }
    this.#plan(this.#everyMs);
  }

  async #send(mail: OutgoingMail): Promise<void> {
    const { id, to, subject, text, html, language, attachments = [] } = mail;
    try {
      await this.#transport.sendMail({
        messageId: `<${id}@${this.#from.replace(/^.*@|>.*$/g, '')}>`,
        from: this.#from,
        // An address as it is: a name in it could name other recipients.
        to: { name: '', address: to },
        subject,
        text,
        html,
        // Bangla as quoted-printable would be nine characters a letter.
        textEncoding: language === 'bn' ? 'base64' : 'quoted-printable',
        headers: { 'content-language': language, 'auto-submitted': 'auto-generated' },
        attachments: attachments.map(({ name: filename, type: contentType, content }) => ({
          filename,
          contentType,
          content,
        })),
      });
    } catch (error) {
      await this.#failed(mail, error);
      return;
    }
    await noteSent(this.#sql, id);
  }

  async #failed({ id, tries, createdAt }: OutgoingMail, error: unknown): Promise<void> {
    const failure = error instanceof Error ? error.message : String(error);
    const retryMs = Math.min(firstRetryMs * 2 ** (tries - 1), longestRetryMs);
    const isOver = Date.now() + retryMs > createdAt.getTime() + giveUpMs || isRefusedForGood(error);
    await noteFailed(this.#sql, id, failure, isOver ? null : retryMs);
    const what = isOver ? 'is given up' : `is tried again in ${Math.ceil(retryMs / 60_000)} min`;
    this.#log(isOver ? 'error' : 'warn', `mail ${id} could not be sent and ${what}`, error);
  }
}

/** The recipient or the text was refused with 5xx; what is wrong with our sign-in there may be mended. */
function isRefusedForGood(error: unknown): boolean {
  if (!(error instanceof Error && 'code' in error && 'responseCode' in error)) return false;
  const { code, responseCode } = error;
  return (code === 'EENVELOPE' || code === 'EMESSAGE') && Number(responseCode) >= 500;
}
