/** Draws the receipt of a payment as PDF, on one page of A4, in English or Bangla: what `receipt_pdf.ts` runs in a thread of its own. */
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import PDFDocument from 'pdfkit';
import { type Language, type PaymentRecord, receiptText, type Seller } from './receipt.ts';

/** Holds Latin letters, too; its conjuncts and vowel signs are shaped by pdfkit's own layout. */
const fonts = {
  plain: import.meta.resolve(
    '@expo-google-fonts/noto-sans-bengali/400Regular/NotoSansBengali_400Regular.ttf',
  ),
  bold: import.meta.resolve(
    '@expo-google-fonts/noto-sans-bengali/700Bold/NotoSansBengali_700Bold.ttf',
  ),
} as const;

/** Points. */
const margin = 56;
const width = 595.28 - 2 * margin;
const green = '#006a4e';
const grey = '#555555';

type Document = PDFKit.PDFDocument;
type Line = readonly [label: string, value: string];

export interface ReceiptOrder {
  readonly record: PaymentRecord;
  readonly language: Language;
  readonly seller: Seller;
}

function drawn({ record, language, seller }: ReceiptOrder): Promise<Buffer> {
  const { payment } = record;
  const text = receiptText(record, language);
  const pdf = new PDFDocument({
    size: 'A4',
    margin,
    lang: language,
    info: {
      Title: `${text.title} ${payment.invoice}`,
      Author: seller.name,
      // Without it, the time of making would be in it.
      CreationDate: payment.creditedAt ?? payment.createdAt,
    },
  });
  const whole = collected(pdf);
  for (const [name, path] of Object.entries(fonts)) pdf.registerFont(name, fileURLToPath(path));
  if (text.watermark) watermark(pdf, text.watermark);
  head(pdf, text.title, seller, text.binLabel);
  table(pdf, text.facts, 'left');
  rule(pdf);
  table(pdf, text.amounts, 'right');
  rule(pdf);
  pdf.font('bold').fontSize(13);
  table(pdf, [text.total], 'right');
  pdf.font('plain').fontSize(10.5);
  if (text.refunds.length > 0) {
    rule(pdf);
    table(pdf, text.refunds, 'right');
  }
  pdf.moveDown(2).fontSize(8.5).fillColor(grey).text(text.closing, margin, pdf.y, { width });
  pdf.end();
  return whole;
}

// as: only receipt_pdf.ts starts this thread
parentPort?.postMessage(await drawn(workerData as ReceiptOrder));

function collected(pdf: Document): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve, reject) => {
    pdf.on('data', (part: Buffer) => parts.push(part));
    pdf.on('end', () => resolve(Buffer.concat(parts)));
    pdf.on('error', reject);
  });
}

/** Across the whole page, behind all that is written later. */
function watermark(pdf: Document, words: string): void {
  const { height } = pdf.page;
  const centre = { origin: [297.64, height / 2] };
  pdf.save().rotate(-35, centre).font('bold').fontSize(46).fillColor('#b00020', 0.14);
  for (const offset of [-240, 0, 240])
    pdf.text(words, -100, height / 2 + offset - 30, {
      width: 795.28,
      align: 'center',
      lineBreak: false,
    });
  pdf.restore();
}

function head(
  pdf: Document,
  title: string,
  { name, address, bin }: Seller,
  binLabel: string,
): void {
  pdf
    .fillColor(green, 1)
    .font('bold')
    .fontSize(20)
    .text(name, margin, margin, { width: width * 0.62 });
  pdf.fillColor(grey).font('plain').fontSize(9.5);
  if (address) pdf.text(address, { width: width * 0.62 });
  if (bin) pdf.text(`${binLabel} ${bin}`, { width: width * 0.62 });
  const below = pdf.y;
  pdf.fillColor('#111111').font('bold').fontSize(20);
  pdf.text(title, margin, margin, { width, align: 'right' });
  pdf.y = Math.max(below, pdf.y) + 14;
  rule(pdf);
  pdf.font('plain').fontSize(10.5);
}

function rule(pdf: Document): void {
  const y = pdf.y + 4;
  pdf
    .moveTo(margin, y)
    .lineTo(margin + width, y)
    .lineWidth(0.7)
    .strokeColor(green)
    .stroke();
  pdf.y = y + 10;
}

/** Labels on the left, values beside them. */
function table(pdf: Document, lines: readonly Line[], align: 'left' | 'right'): void {
  const labels = width * 0.55;
  for (const [label, value] of lines) {
    const top = pdf.y;
    pdf.fillColor(grey).text(label, margin, top, { width: labels - 10 });
    const below = pdf.y;
    pdf.fillColor('#111111').text(value, margin + labels, top, { width: width - labels, align });
    pdf.y = Math.max(below, pdf.y) + 5;
  }
}
