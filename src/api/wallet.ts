/** GET /api/wallet: balance and statement of who is signed in, as GET /v1/wallet gives it to a key. */

import { z } from 'zod';
import { entriesOf, statementCsv } from '../wallet/export_statement.ts';
import { statementJson } from '../wallet/statement_form.ts';
import { statementRequest } from '../wallet/statement_query.ts';
import { openWallet } from '../wallet/wallets.ts';
import { forUser } from './endpoint.ts';
import { usd } from './forms.ts';

const text = z.string().optional();

const statement = z.looseObject({
  balance: usd,
  transactions: z.array(
    z.looseObject({
      id: z.string(),
      amount: usd,
      type: z.enum(['USAGE', 'TOPUP', 'REFUND', 'ADJUSTMENT', 'BONUS']),
      description: z.string(),
      status: z.string(),
      createdAt: z.string(),
    }),
  ),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
});

export const wallet = forUser({
  summary: 'Balance and transactions, by the page, or all of them as CSV.',
  query: z.looseObject({
    from: text,
    to: text,
    type: text,
    key: text,
    group: text,
    limit: text,
    cursor: text,
    format: text,
  }),
  answer: statement,
  handle: async ({ site: { sql, statements }, user, visit }) => {
    const accept = visit.request.headers.get('accept') ?? '';
    const { query, format } = statementRequest(visit.url.searchParams, accept);
    const walletId = await openWallet(sql, user.id);
    if (format === 'csv') {
      const pages = ReadableStream.from(statementCsv(statements, walletId, query));
      return new Response(pages.pipeThrough(new TextEncoderStream()), {
        headers: {
          'content-type': 'text/csv; charset=utf-8; header=present',
          'content-disposition': 'attachment; filename="wallet.csv"',
        },
      });
    }
    const { page, entries } = await entriesOf(statements, walletId, query);
    return Response.json(statementJson(page, entries));
  },
});
