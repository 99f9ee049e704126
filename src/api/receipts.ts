/** The receipt of a payment, for its owner. */
import { z } from 'zod';
import { takeAttempt } from '../accounts/attempts.ts';
import { ApiError } from '../errors.ts';
import { paymentRecord } from '../payments/receipt.ts';
import { receiptPdf } from '../payments/receipt_pdf.ts';
import { forUser } from './endpoint.ts';
import { id, language } from './forms.ts';

/** Each costs a fifth of a second of a processor. */
const someReceipts = { most: 60, everyMs: 3_600_000 };

export const receipt = forUser({
  summary: 'The receipt of a credited payment, as PDF.',
  params: z.object({ id }),
  query: z.object({ language: language.optional() }),
  answer: z.string().meta({ contentMediaType: 'application/pdf' }),
  errors: ['user_mismatch', 'payment_not_credited', 'too_many_attempts'],
  handle: async ({ site: { sql, config }, user, params, query }) => {
    const record = await paymentRecord(sql, params.id);
    if (!record) throw new ApiError('not_found', { message: 'There is no such payment.' });
    if (record.payment.userId !== user.id) throw new ApiError('user_mismatch');
    const { creditedAt, invoice } = record.payment;
    if (!creditedAt) throw new ApiError('payment_not_credited');
    await takeAttempt(sql, 'receipts of', user.id, someReceipts);
    const { sellerName: name, sellerAddress: address, sellerBin: bin } = config;
    const pdf = await receiptPdf(record, query.language ?? user.language, { name, address, bin });
    return new Response(pdf, {
      headers: {
        'content-type': 'application/pdf',
        'content-disposition': `inline; filename="${invoice}.pdf"`,
      },
    });
  },
});
