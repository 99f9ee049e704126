/** The stand-in's page in place of Nagad's: says that it is a sandbox, and lets a person pay, fail, cancel or walk away. */

export interface PageOrder {
  /** `500.00` */
  readonly amount: string;
  readonly orderId: string;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

const style = `
:root { color-scheme: light dark; --paper: #f6f4f1; --card: #fff; --ink: #201d1b; --soft: #625b55; --line: #ded8d1;
  --main: #b3361c; --on-main: #fff; --band: #ffd84d; --on-band: #2b2100; }
@media (prefers-color-scheme: dark) { :root { --paper: #151312; --card: #1f1c1a; --ink: #f0ebe6; --soft: #b3a9a0; --line: #3a3430;
  --main: #f0795f; --on-main: #230a04; --band: #e0b92e; --on-band: #211900; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 400 1.0625rem/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "Noto Sans Bengali", "Nirmala UI", "Kohinoor Bangla", "Hind Siliguri", sans-serif; }
.band { background: var(--band); color: var(--on-band); text-align: center; padding: .8rem 1rem; }
.band b { display: block; font-size: 1.6rem; line-height: 1.2; letter-spacing: .2em; margin-right: -.2em; }
main { max-width: 28rem; margin: 1.25rem auto 3rem; padding: 0 1rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.4rem 1.25rem; }
h1 { margin: 0; font-size: 1.05rem; font-weight: 600; }
.amount { margin: .35rem 0 0; font-size: 2.6rem; font-weight: 700; line-height: 1.15; font-variant-numeric: tabular-nums; }
.order { margin: .35rem 0 1.3rem; color: var(--soft); font-size: .95rem; overflow-wrap: anywhere; }
button { display: block; width: 100%; min-height: 3.4rem; margin-top: .7rem; padding: .55rem 1rem; border-radius: 10px;
  border: 1px solid var(--line); background: transparent; color: inherit; font: inherit; line-height: 1.3; cursor: pointer; }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main); font-weight: 650; }
button span { display: block; font-size: .875rem; font-weight: 400; }
button:not(.main) span { color: var(--soft); }
button:hover { filter: brightness(1.07); } button:not(.main):hover { border-color: var(--soft); }
button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
p.note { color: var(--soft); font-size: .9rem; margin: 1.1rem .25rem 0; } p { margin: .5rem 0; }
:lang(bn) { line-height: 1.65; }
`;

function frame(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<div class="band" role="note"><b>SANDBOX</b> This is not Nagad. No money moves.<br><span lang="bn">এটি নগদ নয়। কোনো টাকা লেনদেন হয় না।</span></div>
<main>
${content}
</main>
</body>
</html>
`;
}

const choices = [
  ['pay', 'Pay', 'টাকা দিন', 'main'],
  ['pay_stay', 'Pay, then close the tab', 'টাকা দিন, তারপর ট্যাব বন্ধ করুন', ''],
  ['fail', 'Let the payment fail', 'পেমেন্ট ব্যর্থ করুন', ''],
  ['abort', 'Cancel', 'বাতিল করুন', ''],
  ['leave', 'Close the tab without paying', 'টাকা না দিয়ে ট্যাব বন্ধ করুন', ''],
] as const;

export type PageChoice = (typeof choices)[number][0];

export function isChoice(text: string | null): text is PageChoice {
  return choices.some(([choice]) => choice === text);
}

/** The page on which a payer decides; it posts `choice` to its own address. */
export function choicePage({ amount, orderId }: PageOrder): string {
  const buttons = choices.map(
    ([choice, english, bangla, kind]) =>
      `<button name="choice" value="${choice}"${kind ? ` class="${kind}"` : ''}>${english}<span lang="bn">${bangla}</span></button>`,
  );
  return frame(
    'Sandbox: pay by Nagad',
    `<form class="card" method="post">
<h1>Stand-in for Nagad <span lang="bn">· নগদের নমুনা পাতা</span></h1>
<p class="amount">৳${escaped(amount)}</p>
<p class="order">Order <span lang="bn">(অর্ডার)</span> ${escaped(orderId)}</p>
${buttons.join('\n')}
</form>
<p class="note">No number, PIN or OTP is asked for. Never type your own into a sandbox.</p>
<p class="note" lang="bn">এখানে কোনো নম্বর, পিন বা ওটিপি লাগে না। স্যান্ডবক্সে কখনো নিজের পিন লিখবেন না।</p>`,
  );
}

const endings = {
  paid: [
    'Paid. You may close this tab.',
    'The shop has not been told by your browser: it has to ask by itself.',
    'টাকা দেওয়া হয়েছে। ট্যাবটি বন্ধ করতে পারেন।',
  ],
  left: [
    'Nothing was paid. You may close this tab.',
    'The payment stays open: go back in your browser to pay after all.',
    'টাকা দেওয়া হয়নি। ট্যাবটি বন্ধ করতে পারেন।',
  ],
  over: [
    'This payment is over.',
    'It was decided before; nothing can be changed here.',
    'এই পেমেন্ট শেষ হয়ে গেছে।',
  ],
  unknown: [
    'There is no such payment.',
    'The sandbox forgets its payments when the server stops.',
    'এমন কোনো পেমেন্ট নেই।',
  ],
} as const;

/** A page that says how it ended, without a way on. */
export function endPage(ending: keyof typeof endings): string {
  const [english, more, bangla] = endings[ending];
  return frame(
    'Sandbox: Nagad',
    `<div class="card"><h1>${english}</h1><p>${more}</p><p lang="bn">${bangla}</p></div>`,
  );
}

/** What a firewall in front of Nagad answers, with status 200, to those it does not like. */
export const firewallPage = `<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your administrator.<br><br>Your support ID is: SIM-0000000000000000000<br><br></body></html>`;
