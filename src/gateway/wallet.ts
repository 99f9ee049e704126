/** GET /v1/wallet: balance and statement of the account that the key belongs to; JSON by the page, or CSV of all of it. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyRecord } from '../accounts/keys.ts';
import type { Sql } from '../db/database.ts';
import { entriesOf, statementCsv } from '../wallet/export_statement.ts';
import { statementJson } from '../wallet/statement_form.ts';
import { statementRequest } from '../wallet/statement_query.ts';
import type { Exchange } from './exchange.ts';

/**
 * Answers with the statement of a wallet; whoever calls has found out whose it may be.
 * @param stalledClientMs after which a client that takes nothing is cut off
 * @throws ApiError invalid_request; what the driver throws
 */
async function answerStatement(
  sql: Sql,
  exchange: Exchange,
  walletId: number,
  stalledClientMs: number,
): Promise<void> {
  const { url, headers } = exchange.request;
  const { searchParams } = new URL(url ?? '/', 'http://localhost');
  const { query, format } = statementRequest(searchParams, headers.accept ?? '');
  if (format === 'csv') {
    await sendCsv(exchange, statementCsv(sql, walletId, query), stalledClientMs);
    return;
  }
  const { page, entries } = await entriesOf(sql, walletId, query);
  exchange.json(JSON.stringify(statementJson(page, entries)), ['cache-control', 'no-store']);
}

interface StatementSource {
  readonly statements: Sql;
  readonly relay: { readonly stalledClientMs: number };
}

/** The account's own statement. @throws as answerStatement */
export async function wallet(
  { statements, relay }: StatementSource,
  exchange: Exchange,
  _rest: string,
  { walletId }: KeyRecord,
): Promise<void> {
  await answerStatement(statements, exchange, walletId, relay.stalledClientMs);
}

/** Each page is read when the one before has been taken by the client. */
async function sendCsv(
  exchange: Exchange,
  pages: AsyncGenerator<string>,
  stalledClientMs: number,
): Promise<void> {
  const { response } = exchange;
  for await (const text of pages) {
    if (!response.headersSent)
      exchange.head([
        'content-type',
        'text/csv; charset=utf-8; header=present',
        'content-disposition',
        'attachment; filename="wallet.csv"',
        'cache-control',
        'no-store',
      ]);
    if (exchange.left) return;
    if (!response.write(text)) await drained(exchange, stalledClientMs);
  }
  if (!exchange.left) response.end();
}

/** Until the client has taken what was written, or has left; one that does neither is cut off. */
async function drained(exchange: Exchange, stalledClientMs: number): Promise<void> {
  const { response } = exchange;
  const waiting = new AbortController();
  const { signal } = waiting;
  const left = once(response, 'close', { signal });
  try {
    await Promise.race([
      once(response, 'drain', { signal }),
      left,
      sleep(stalledClientMs, undefined, { signal }).then(() => {
        exchange.cut();
        return left;
      }),
    ]);
  } catch {
    // A connection that broke: 'close' follows, and the exchange knows what it means.
  } finally {
    // Takes the listeners away, of which there would be more with every page.
    waiting.abort();
  }
}
