/** `akai payment receipt`: the receipt of a payment as its owner gets it. */
import { writeFile } from 'node:fs/promises';
import type { ParseArgsOptionsConfig } from 'node:util';
import { type Config, typedPath } from '../config.ts';
import { openDatabase } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { paymentRecord } from '../payments/receipt.ts';
import { receiptPdf } from '../payments/receipt_pdf.ts';
import type { Said } from './said.ts';

interface Given {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
}

const string = { type: 'string' } as const;

export const paymentReceiptCommand: {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
} = {
  usage: '--id ID --out FILE [--language en|bn]',
  sentence: 'Write the receipt of a credited payment as PDF.',
  options: { id: string, out: string, language: string },
  run: async ({ values }, config, say) => {
    const { id, out, language } = values;
    if (typeof id !== 'string' || typeof out !== 'string')
      throw new ApiError('invalid_request', { message: '--id and --out are needed.' });
    if (language !== undefined && language !== 'en' && language !== 'bn')
      throw new ApiError('invalid_request', { message: '--language takes en or bn.' });
    const database = await openDatabase(config, 'command', say);
    try {
      const record = await paymentRecord(database.sql, id);
      if (!record)
        throw new ApiError('not_found', { message: `There is no payment with the id ${id}.` });
      if (!record.payment.creditedAt) throw new ApiError('payment_not_credited');
      const { sellerName: name, sellerAddress: address, sellerBin: bin } = config;
      const pdf = await receiptPdf(record, language ?? record.language, { name, address, bin });
      await writeFile(typedPath(out), pdf);
      return { json: { id, out, bytes: pdf.length }, text: `The receipt is in ${out}.` };
    } finally {
      await database.close();
    }
  },
};
