/** The receipt of a payment as PDF. The same record always gives the same bytes. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Language, PaymentRecord, Seller } from './receipt.ts';
import type { ReceiptOrder } from './receipt_thread.ts';

/** A thread that ends, or does not, without an answer must not keep all that wait behind it; ms. */
const patienceMs = 30_000;

let last: Promise<unknown> = Promise.resolve();

/** Made in a thread of its own, one at a time: it takes a fifth of a second, which streams of others would have to wait. */
export function receiptPdf(
  record: PaymentRecord,
  language: Language,
  seller: Seller,
): Promise<Buffer<ArrayBuffer>> {
  const made = last.then(() => draw({ record, language, seller }));
  last = made.catch(() => {});
  return made;
}

async function draw(order: ReceiptOrder): Promise<Buffer<ArrayBuffer>> {
  const thread = new Worker(new URL('./receipt_thread.ts', import.meta.url), {
    workerData: order,
  });
  try {
    const [bytes]: unknown[] = await once(thread, 'message', {
      signal: AbortSignal.timeout(patienceMs),
    });
    if (!(bytes instanceof Uint8Array)) throw new Error('the receipt was not drawn');
    return Buffer.from(bytes);
  } finally {
    await thread.terminate();
  }
}
