/** The page of the stand-in for bKash as HTML, in English and Bangla. It says in large letters that nothing on it is real. */
import { taka } from './bkash_answers.ts';
import { blockedWallet, emptyWallet, payingWallets, type StandInPayment } from './bkash_book.ts';

export type Language = 'en' | 'bn';
export type Problem = 'wallet' | 'otp' | 'pin';

export type View = { readonly language: Language } & (
  | { readonly kind: 'unknown' | 'over' | 'late' | 'closed' }
  | { readonly kind: 'step'; readonly payment: StandInPayment; readonly problem: Problem | null }
);

const words = {
  en: {
    title: 'bKash (sandbox)',
    sandbox: 'SANDBOX',
    notReal: 'This is not bKash. No real money moves here; never type a real PIN.',
    pay: 'Pay',
    allow: 'Allow automatic payments to this shop',
    invoice: 'Invoice',
    wallet: 'Your bKash number',
    otp: 'Verification code',
    pin: 'PIN',
    confirm: 'Confirm',
    cancel: 'Cancel',
    wrongWallet: 'This number has no account here. Use one of the test numbers below.',
    wrongOtp: 'The verification code is wrong.',
    wrongPin: 'The PIN is wrong.',
    help: 'For trying it out',
    pays: 'Numbers that pay',
    empty: 'Not enough money',
    blocked: 'Blocked account',
    fail: 'Let it fail',
    close: 'Close the tab now',
    confirmAndClose: 'Confirm, then close the tab',
    unknown: 'There is no such payment.',
    over: 'This payment is done already.',
    late: 'The time to confirm this payment is over.',
    closed: 'You closed the tab: the shop does not hear from this browser any more.',
    other: 'বাংলা',
  },
  bn: {
    title: 'bKash (স্যান্ডবক্স)',
    sandbox: 'SANDBOX · স্যান্ডবক্স',
    notReal: 'এটি আসল বিকাশ নয়। এখানে কোনো আসল টাকা লেনদেন হয় না; আসল পিন কখনো লিখবেন না।',
    pay: 'পেমেন্ট',
    allow: 'এই দোকানকে স্বয়ংক্রিয় পেমেন্টের অনুমতি দিন',
    invoice: 'ইনভয়েস',
    wallet: 'আপনার বিকাশ নম্বর',
    otp: 'ভেরিফিকেশন কোড',
    pin: 'পিন',
    confirm: 'নিশ্চিত করুন',
    cancel: 'বাতিল',
    wrongWallet: 'এই নম্বরে এখানে কোনো অ্যাকাউন্ট নেই। নিচের পরীক্ষার নম্বরগুলোর একটি দিন।',
    wrongOtp: 'ভেরিফিকেশন কোড ভুল।',
    wrongPin: 'পিন ভুল।',
    help: 'পরীক্ষা করার জন্য',
    pays: 'যেসব নম্বর থেকে পেমেন্ট হয়',
    empty: 'যথেষ্ট টাকা নেই',
    blocked: 'বন্ধ অ্যাকাউন্ট',
    fail: 'ব্যর্থ হোক',
    close: 'এখনই ট্যাব বন্ধ করুন',
    confirmAndClose: 'নিশ্চিত করে ট্যাব বন্ধ করুন',
    unknown: 'এমন কোনো পেমেন্ট নেই।',
    over: 'এই পেমেন্ট আগেই সম্পন্ন হয়েছে।',
    late: 'এই পেমেন্ট নিশ্চিত করার সময় শেষ।',
    closed: 'আপনি ট্যাব বন্ধ করেছেন: দোকান এই ব্রাউজার থেকে আর কিছু জানবে না।',
    other: 'English',
  },
} as const;

const style = `
:root { color-scheme: light dark; --paper: #f6f2f4; --card: #fff; --ink: #23181d; --soft: #66555d; --line: #ddd0d6;
  --strong: #c2185b; --on: #fff; --warn: #ffe9a8; --warn-ink: #4d3800; --bad: #a3121f; }
@media (prefers-color-scheme: dark) { :root { --paper: #171215; --card: #211a1e; --ink: #f0e8ec; --soft: #b6a5ad; --line: #43363d;
  --strong: #f06292; --on: #23101a; --warn: #3a2f0d; --warn-ink: #ffdf8a; --bad: #ff9aa2; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1.05rem/1.55 system-ui, "Noto Sans Bengali", "Nirmala UI", "Hind Siliguri", sans-serif; background: var(--paper); color: var(--ink); }
.sandbox { background: var(--warn); color: var(--warn-ink); text-align: center; padding: .8rem 1rem; }
.sandbox strong { display: block; font-size: 1.8rem; letter-spacing: .12em; line-height: 1.2; }
.sandbox strong:lang(bn) { letter-spacing: 0; }
main { max-width: 27rem; margin: 1.5rem auto; padding: 0 1rem 2rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1.4rem; }
h1 { margin: 0 0 .2rem; font-size: 1.15rem; font-weight: 600; }
.amount { font-size: 2.1rem; font-weight: 700; margin: 0; }
.soft { color: var(--soft); margin: 0 0 1.2rem; overflow-wrap: anywhere; }
label { display: block; font-weight: 600; margin-bottom: .3rem; }
input { width: 100%; font: inherit; font-size: 1.25rem; padding: .6rem .8rem; border: 2px solid var(--line); border-radius: .6rem; background: transparent; color: inherit; letter-spacing: .05em; }
input:focus-visible, button:focus-visible, a:focus-visible, summary:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
button { font: inherit; font-weight: 600; min-height: 2.9rem; padding: .5rem 1rem; border-radius: .6rem; border: 2px solid var(--strong); background: transparent; color: var(--strong); cursor: pointer; width: 100%; }
button.main { background: var(--strong); color: var(--on); }
.row { display: grid; grid-template-columns: 1fr 1fr; gap: .7rem; margin-top: 1rem; }
.problem { color: var(--bad); font-weight: 600; margin: .6rem 0 0; }
details { margin-top: 1.2rem; border: 1px dashed var(--line); border-radius: 1rem; padding: .8rem 1.2rem; }
summary { cursor: pointer; font-weight: 600; }
dt { color: var(--soft); margin-top: .6rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
details button { margin-top: .7rem; }
nav { text-align: right; margin-bottom: .6rem; }
a { color: var(--strong); }
`;

function escaped(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (sign) => signs[sign] ?? '');
}

export function page(view: View): string {
  const said = words[view.language];
  const content =
    view.kind === 'step' ? stepCard(view) : `<div class="card"><p>${said[view.kind]}</p></div>`;
  return `<!doctype html>
<html lang="${view.language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>${said.title}</title><link rel="icon" href="data:,"><style>${style}</style></head>
<body>
<div class="sandbox" role="note"><strong>${said.sandbox}</strong>${said.notReal}</div>
<main>${content}</main>
</body>
</html>
`;
}

const kinds = {
  wallet: 'inputmode="numeric" autocomplete="off" maxlength="14" placeholder="01XXXXXXXXX"',
  otp: 'inputmode="numeric" autocomplete="one-time-code" maxlength="6"',
  pin: 'type="password" inputmode="numeric" autocomplete="off" maxlength="5"',
};

function stepCard({
  language,
  payment,
  problem,
}: View & { readonly payment: StandInPayment; readonly problem: Problem | null }): string {
  const said = words[language];
  const { id, hash, step } = payment;
  const problems = { wallet: said.wrongWallet, otp: said.wrongOtp, pin: said.wrongPin };
  const hidden = [
    ['paymentId', id],
    ['hash', hash],
    ['lang', language],
  ]
    .map(
      ([name = '', value = '']) => `<input type="hidden" name="${name}" value="${escaped(value)}">`,
    )
    .join('');
  const act = (name: string, text: string, kind = ''): string =>
    `<button name="act" value="${name}"${kind}>${text}</button>`;
  const other = `/?paymentId=${id}&amp;hash=${hash}&amp;lang=${language === 'en' ? 'bn' : 'en'}`;
  const what =
    payment.mode === '0000'
      ? `<h1>${said.allow}</h1>`
      : `<h1>${said.pay}</h1><p class="amount">৳${taka(payment.amount)}</p><p class="soft">${said.invoice}: ${escaped(payment.invoice)}</p>`;
  return `<nav><a href="${other}" lang="${language === 'en' ? 'bn' : 'en'}">${said.other}</a></nav>
<form method="post" action="/" autocomplete="off">${hidden}
<div class="card">${what}
<label for="value">${said[step]}</label>
<input id="value" name="value" ${kinds[step]} autofocus${problem ? ' aria-describedby="problem" aria-invalid="true"' : ''}>
${problem ? `<p class="problem" id="problem" role="alert">${problems[problem]}</p>` : ''}
<div class="row">${act('next', said.confirm, ' class="main"')}${act('cancel', said.cancel)}</div>
</div>
<details open><summary>${said.help}</summary>
<dl><dt>${said.pays}</dt><dd>${payingWallets.join(', ')}</dd>
<dt>${said.empty}</dt><dd>${emptyWallet}</dd><dt>${said.blocked}</dt><dd>${blockedWallet}</dd>
<dt>${said.otp}</dt><dd>123456</dd><dt>${said.pin}</dt><dd>12121</dd></dl>
${act('fail', said.fail)}${act('close', said.close)}${act('confirm_and_close', said.confirmAndClose)}
</details>
</form>`;
}
