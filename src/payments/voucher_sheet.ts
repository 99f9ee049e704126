/** Vouchers on paper: a page of A4 to print and cut, ten cards a sheet, with nothing to be loaded from anywhere. */
import { formatUsd } from '../wallet/money.ts';
import { conditionsOf, type VoucherBatch } from './vouchers.ts';

const style = `
@page { size: A4; margin: 10mm }
* { box-sizing: border-box }
body { margin: 0; font: 9pt/1.35 system-ui, "Noto Sans", "Noto Sans Bengali", sans-serif; color: #111; background: #fff }
.sheet { display: grid; grid-template-columns: 1fr 1fr; grid-auto-rows: 53mm; break-after: page }
.sheet:last-of-type { break-after: auto }
article { position: relative; border: .2mm dashed #999; padding: 3mm 5mm; display: flex; flex-direction: column; overflow: hidden }
header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: .4mm solid #006a4e; padding-bottom: .8mm }
header b { color: #006a4e; font-size: 10.5pt }
header strong { font-size: 15pt }
code { font: 700 12pt/1 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; letter-spacing: .2mm; margin: 2.4mm 0 2mm; white-space: nowrap }
p { margin: 0 0 .8mm; font-size: 8pt }
footer { margin-top: auto; display: flex; justify-content: space-between; font-size: 7pt; color: #444 }
.play { color: #b00020; font-weight: 700 }
`;

const cardsASheet = 10;
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'Asia/Dhaka' });
const dayBangla = new Intl.DateTimeFormat('bn-BD', { dateStyle: 'long', timeZone: 'Asia/Dhaka' });

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/**
 * The whole page, as HTML.
 * @param origin of the site, such as https://akaicore.space
 */
export function voucherSheet(
  batch: VoucherBatch,
  codes: readonly string[],
  { origin, sandbox }: { readonly origin: string; readonly sandbox: boolean },
): string {
  const place = escaped(origin.replace(/^https?:\/\//, ''));
  const value = `$${formatUsd(batch.value)}`;
  const { expiresAt } = batch;
  const conditions = escaped(conditionsOf(batch));
  const until = expiresAt
    ? `<span>Valid until ${day.format(expiresAt)} · ${dayBangla.format(expiresAt)} পর্যন্ত</span>`
    : '<span>No expiry · মেয়াদ নেই</span>';
  const play = sandbox ? '<p class="play">SANDBOX – no real money · স্যান্ডবক্স – আসল টাকা নয়</p>' : '';
  const card = (code: string, index: number): string => `<article>
<header><b>AK AI CORE</b><strong>${value}</strong></header>
<code translate="no">${code}</code>
${play}<p lang="en">Open ${place}/redeem and type this code. It works once for an account${conditions && ` (${conditions})`}.</p>
<p lang="bn">${place}/redeem পাতায় কোডটি লিখুন। ${value} আপনার ওয়ালেটে যোগ হবে।</p>
<footer>${until}<span>No. ${index + 1}</span></footer>
</article>`;
  const cards = codes.map(card);
  const sheets = Array.from({ length: Math.ceil(cards.length / cardsASheet) }, (_, sheet) =>
    cards.slice(sheet * cardsASheet, (sheet + 1) * cardsASheet).join('\n'),
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Vouchers ${batch.id}</title><style>${style}</style></head>
<body>
${sheets.map((sheet) => `<div class="sheet">\n${sheet}\n</div>`).join('\n')}
</body>
</html>
`;
}
