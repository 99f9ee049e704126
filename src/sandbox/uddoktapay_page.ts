/** The pages of the stand-in of UddoktaPay, in English and Bangla. They look like no real panel, and say so at the top. */

import {
  type PanelPayment,
  panelWallets,
  switches,
  taka,
  type UddoktapayFaults,
} from './uddoktapay_panel.ts';

const style = `
:root { color-scheme: light dark; --paper: #f4f5f2; --card: #fff; --ink: #1b211e; --soft: #55605a; --line: #d5d9d4; --main: #00614a; --on-main: #fff; --tape: #ffd24a; --bad: #a61b1b; }
@media (prefers-color-scheme: dark) { :root { --paper: #111513; --card: #1b211e; --ink: #e8ece9; --soft: #a3aea8; --line: #364039; --main: #5fd0a5; --on-main: #06251b; --bad: #ff9a94; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 400 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Bengali", "Nirmala UI", sans-serif; }
.tape { background: repeating-linear-gradient(-45deg, var(--tape) 0 22px, #1b211e 22px 30px); padding: .5rem; }
.tape p { margin: 0 auto; max-width: 34rem; background: var(--tape); color: #1b211e; text-align: center; padding: .5rem .75rem; }
.tape b { display: block; font-size: 1.6rem; line-height: 1.2; letter-spacing: .16em; }
main { max-width: 27rem; margin: 1.25rem auto; padding: 0 1rem 3rem; }
main.wide { max-width: 64rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 1.25rem; margin-bottom: 1rem; }
a { color: var(--main); }
h1 { font-size: 1.15rem; margin: 0 0 .75rem; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
.amount { font-size: 2.5rem; font-weight: 700; line-height: 1.15; margin: 0; }
.soft { color: var(--soft); font-size: .9rem; margin: .35rem 0 0; overflow-wrap: anywhere; }
fieldset { border: 0; padding: 0; margin: 0 0 1rem; display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
legend { padding: 0 0 .4rem; font-weight: 600; }
.wallet { position: relative; border: 2px solid var(--line); border-radius: .75rem; padding: .85rem .25rem; text-align: center; font-weight: 600; cursor: pointer; }
.wallet input { position: absolute; opacity: 0; }
.wallet:has(:checked) { border-color: var(--main); color: var(--main); }
.wallet:has(:focus-visible) { outline: 3px solid var(--main); outline-offset: 2px; }
label.field { display: block; margin-bottom: .75rem; font-size: .9rem; color: var(--soft); }
input[type=text], select { width: 100%; min-height: 2.75rem; font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: .4rem .7rem; }
button { display: block; width: 100%; min-height: 2.9rem; margin-top: .55rem; padding: .35rem .75rem; font: inherit; font-weight: 600; line-height: 1.3; color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: .7rem; cursor: pointer; }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main); }
button.bad, .wrong { color: var(--bad); }
button:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
.wrong { font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin-top: .6rem; }
.row button { width: auto; min-height: 2.4rem; margin: 0; font-size: .88rem; }
.row input[type=text] { width: 7rem; min-height: 2.4rem; }
.switches { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 0 1rem; }
`;

function escaped(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] ?? '');
}

function page(title: string, content: string, wide = false): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><link rel="icon" href="data:,"><title>SANDBOX · ${escaped(title)}</title><style>${style}</style></head>
<body><div class="tape"><p><b>SANDBOX</b>No real money moves here. This is not UddoktaPay.<br><span lang="bn">এখানে আসল টাকা লেনদেন হয় না। এটি UddoktaPay নয়।</span></p></div>
<main${wide ? ' class="wide"' : ''}>${content}</main></body></html>`;
}

const bangla = (text: string): string => `<span lang="bn">${text}</span>`;

const names: Readonly<Record<(typeof panelWallets)[number], string>> = {
  bkash: `bKash<br>${bangla('বিকাশ')}`,
  nagad: `Nagad<br>${bangla('নগদ')}`,
  rocket: `Rocket<br>${bangla('রকেট')}`,
};

function price(payment: PanelPayment, currency: UddoktapayFaults['currency']): string {
  const sign = currency === 'USD' ? '$' : '৳';
  const total = `<p class="amount">${sign}${taka(payment.amount + payment.fee)}</p>`;
  if (payment.fee === 0) return total;
  const parts = `${sign}${taka(payment.amount)} + ${sign}${taka(payment.fee)}`;
  return `${total}<p class="soft">${parts} fee · ${bangla('চার্জসহ')}</p>`;
}

/** @param wrong why the last try did not go; null for none */
export function payPage(
  payment: PanelPayment,
  faults: UddoktapayFaults,
  wrong: string | null,
): string {
  const wallets = panelWallets.map(
    (wallet, at) =>
      `<label class="wallet"><input type="radio" name="wallet" value="${wallet}"${at === 0 ? ' checked' : ''}>${names[wallet]}</label>`,
  );
  return page(
    'Pay',
    `<div class="card"><h1>Pay · ${bangla('পেমেন্ট')}</h1>${price(payment, faults.currency)}
<p class="soft">${escaped(payment.fullName)} · ${escaped(payment.email)}</p></div>
<form class="card" method="post" autocomplete="off"><fieldset><legend>Choose a wallet · ${bangla('ওয়ালেট বেছে নিন')}</legend>${wallets.join('')}</fieldset>
${wrong ? `<p class="wrong" role="alert">${escaped(wrong)}</p>` : ''}
<button class="main" name="act" value="pay">Pay · ${bangla('টাকা দিন')}</button>
<button name="act" value="pay_close">Pay, then close the tab · ${bangla('টাকা দিয়ে ট্যাব বন্ধ করুন')}</button>
<hr style="border:0;border-top:1px solid var(--line);margin:1.1rem 0">
<label class="field">TrxID · ${bangla('ট্রানজেকশন আইডি')}<input type="text" name="trx_id" maxlength="20" placeholder="CK250NROQ5"></label>
<label class="field">Your number · ${bangla('আপনার নম্বর')}<input type="text" inputmode="numeric" name="sender" maxlength="15" placeholder="01770618575"></label>
<button name="act" value="hand_in">Hand in the TrxID, wait for approval · ${bangla('ট্রানজেকশন আইডি জমা দিন')}</button>
<hr style="border:0;border-top:1px solid var(--line);margin:1.1rem 0">
<button class="bad" name="act" value="fail">Let it fail · ${bangla('ব্যর্থ করুন')}</button>
<button class="bad" name="act" value="cancel">Cancel · ${bangla('বাতিল')}</button></form>
<p class="soft">Or just close this tab: nobody is told. The other side of the counter is <a href="/admin">the panel</a>.<br>${bangla('অথবা ট্যাবটি বন্ধ করে দিন।')}</p>`,
  );
}

/** After the payer left without going back to the shop. */
export function closedPage(): string {
  return page(
    'Paid',
    `<div class="card"><h1>Paid · ${bangla('টাকা দেওয়া হয়েছে')}</h1><p>Close this tab. The shop has to find out by itself.</p><p>${bangla('ট্যাবটি বন্ধ করুন। দোকানকে নিজে থেকেই জানতে হবে।')}</p></div>`,
  );
}

/** Takes the payer back by POST, which is what a shop gets that asks for nothing else. */
export function postBackPage({ redirectUrl, invoiceId }: PanelPayment): string {
  return page(
    'Back to the shop',
    `<form class="card" method="post" action="${escaped(redirectUrl)}"><input type="hidden" name="invoice_id" value="${invoiceId}">
<button class="main">Back to the shop · ${bangla('ফিরে যান')}</button></form><script>document.forms[0].submit()</script>`,
  );
}

export function sorryPage(says: string): string {
  return page(says, `<div class="card"><h1>${escaped(says)}</h1></div>`);
}

function button(act: string, label: string, kind = ''): string {
  return `<button class="${kind}" name="act" value="${act}">${label}</button>`;
}

function paymentCard(payment: PanelPayment): string {
  const { status, trxId, wallet, ipns } = payment;
  const waits = status === 'PENDING';
  const known = status !== 'INITIATED';
  return `<form class="card" method="post" action="/admin/${payment.token}"><h2>৳${taka(payment.amount)} · ${status}</h2>
<p class="soft">${escaped(payment.fullName)} · ${escaped(JSON.stringify(payment.metadata))}${known ? ` · invoice ${payment.invoiceId} · ${wallet} ${escaped(trxId)}` : ''}${payment.refunded ? ` · ৳${taka(payment.refunded)} given back` : ''}${ipns.length > 0 ? ` · IPN: ${ipns.join(', ')}` : ''}</p>
<div class="row">${waits ? button('approve', `Approve · ${bangla('অনুমোদন')}`, 'main') + button('reject', `Reject · ${bangla('বাতিল')}`, 'bad') : ''}
<input type="text" name="amount" aria-label="Amount" value="${taka(payment.amount)}">${button('amount', 'Change the amount')}</div>
${known ? `<div class="row">${button('ipn_once', 'Send IPN')}${button('ipn_twice', 'Twice')}${button('ipn_forged', 'With a wrong key')}${button('ipn_no_header', 'Without a key')}</div>` : ''}</form>`;
}

const labels: Readonly<Record<keyof typeof switches, string>> = {
  answer: 'Answers of the API',
  of: 'for which calls',
  verify: 'What verify-payment says',
  ipn: 'IPN when a payment changes',
  unmatched: 'A TrxID without its SMS is',
  refund: 'A refund is by',
  currency: 'Currency of the brand',
  fee: 'Fee on top',
  forbidden: 'The key may not',
};

/** What the operator of a panel sees. @param payments latest first */
export function adminPage(payments: readonly PanelPayment[], faults: UddoktapayFaults): string {
  const shown: Readonly<Record<string, string>> = faults;
  const named: Readonly<Record<string, string>> = labels;
  const fields = Object.entries(switches).map(([name, options]) => {
    const now = shown[name];
    const list = options.map(
      (option) => `<option${option === now ? ' selected' : ''}>${option}</option>`,
    );
    return `<label class="field">${named[name]}<select name="${name}">${list.join('')}</select></label>`;
  });
  const none = `<p class="soft">No payments yet. · ${bangla('এখনও কোনো পেমেন্ট নেই।')}</p>`;
  return page(
    'Panel',
    `<h1>The panel · ${bangla('প্যানেল')}</h1><form class="card" method="post" action="/admin"><h2>What goes wrong · ${bangla('কী ভুল হবে')}</h2>
<div class="switches">${fields.join('')}<label class="field">TrxID of every payment<input type="text" name="trxId" value="${escaped(faults.trxId)}"></label></div>
<button class="main">Set · ${bangla('ঠিক করুন')}</button></form>${payments.map(paymentCard).join('') || none}`,
    true,
  );
}
