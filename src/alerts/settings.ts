/** What an account wants to be told when its balance is low, and where to. */
import { randomBytes } from 'node:crypto';
import { type Reach, whyNotThere } from '../accounts/public_address.ts';
import { seal } from '../accounts/secret.ts';
import type { Sql, Statements } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import type { Nano } from '../wallet/money.ts';

export interface AlertSettings {
  readonly threshold: Nano;
  readonly mail: boolean;
  readonly webhookUrl: string | null;
  /** Whether the balance was below when it was last looked at. */
  readonly below: boolean;
  readonly toldAt: Date | null;
}

/** What became of the last message to the webhook. */
export interface LastMessage {
  readonly id: string;
  readonly createdAt: Date;
  readonly tries: number;
  readonly deliveredAt: Date | null;
  readonly failedAt: Date | null;
  readonly lastError: string | null;
}

/** What a webhook's secret is sealed with beside the installation's: it opens in its own row only. */
export function sealName(userId: string): string {
  return `alert webhook of ${userId}`;
}

export async function alertSettings(
  sql: Statements,
  userId: string,
): Promise<{ readonly settings: AlertSettings | null; readonly last: LastMessage | null }> {
  const [settings] = await sql<AlertSettings[]>`
    SELECT threshold, mail, webhook_url AS "webhookUrl", below, told_at AS "toldAt" FROM balance_alerts WHERE user_id = ${userId}`;
  const [last] = await sql<LastMessage[]>`
    SELECT id, created_at AS "createdAt", tries, delivered_at AS "deliveredAt", failed_at AS "failedAt", last_error AS "lastError"
    FROM alert_messages WHERE user_id = ${userId} ORDER BY id DESC LIMIT 1`;
  return { settings: settings ?? null, last: last ?? null };
}

/**
 * Sets what an account wants to be told. A webhook that is new gets a new secret, which is returned this once.
 * @param wish a threshold of null: nothing any more
 * @throws ApiError invalid_request for an address that messages may not go to
 */
export async function setAlerts(
  { sql, secret, reach }: { readonly sql: Sql; readonly secret: string; readonly reach: Reach },
  userId: string,
  wish: {
    readonly threshold: Nano | null;
    readonly mail: boolean;
    readonly webhookUrl: string | null;
    /** A new secret for the same address. */
    readonly newSecret: boolean;
  },
): Promise<{ readonly webhookSecret: string | null }> {
  const { threshold, mail, webhookUrl } = wish;
  if (threshold === null) {
    await sql`DELETE FROM balance_alerts WHERE user_id = ${userId}`;
    return { webhookSecret: null };
  }
  const refusal = webhookUrl === null ? null : whyNotThere(webhookUrl, reach);
  if (refusal) throw new ApiError('invalid_request', { param: 'webhookUrl', message: refusal });
  return sql.begin(async (transaction) => {
    // One change of an account at a time.
    await transaction`SELECT 1 FROM users WHERE id = ${userId} FOR NO KEY UPDATE`;
    const [before] = await transaction<{ webhookUrl: string | null }[]>`
      SELECT webhook_url AS "webhookUrl" FROM balance_alerts WHERE user_id = ${userId}`;
    const isNew = webhookUrl !== null && (wish.newSecret || before?.webhookUrl !== webhookUrl);
    const webhookSecret = isNew ? `whsec_${randomBytes(32).toString('base64url')}` : null;
    const sealed = webhookSecret && seal(secret, sealName(userId), webhookSecret);
    if (before)
      // Another threshold is told of anew.
      await transaction`
        UPDATE balance_alerts SET mail = ${mail}, webhook_url = ${webhookUrl},
          webhook_secret = CASE WHEN ${webhookUrl}::text IS NULL THEN NULL ELSE coalesce(${sealed}, webhook_secret) END,
          below = below AND threshold = ${threshold}, told_at = CASE WHEN threshold = ${threshold} THEN told_at END,
          threshold = ${threshold}, changed_at = now()
        WHERE user_id = ${userId}`;
    else
      await transaction`
        INSERT INTO balance_alerts (user_id, threshold, mail, webhook_url, webhook_secret)
        VALUES (${userId}, ${threshold}, ${mail}, ${webhookUrl}, ${sealed})`;
    return { webhookSecret };
  });
}
