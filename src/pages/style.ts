/** The style of all pages. Fonts are those that the visitor's machine has, with a good Bangla face named first. */

export const style = `
:root {
  color-scheme: light dark;
  --paper: #faf8f4; --card: #ffffff; --ink: #1b211e; --soft: #55605a; --line: #dfdbd1;
  --green: #006a4e; --code: #14211c; --code-ink: #e6efe9; --code-line: #14211c;
  --amber: #fff4d6; --amber-ink: #6b4700; --amber-line: #ecd08a;
  --text: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Bengali", "Nirmala UI",
    "Kohinoor Bangla", "Bangla Sangam MN", "Hind Siliguri", SolaimanLipi, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Noto Sans Mono", "DejaVu Sans Mono",
    "Noto Sans Bengali", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121614; --card: #1a201d; --ink: #e8ece9; --soft: #a3aea8; --line: #2e3632;
    --green: #5fd0a5; --code: #0c100e; --code-ink: #dbe7e0; --code-line: #2e3632;
    --amber: #2b2412; --amber-ink: #f2d48c; --amber-line: #574718;
  }
}
* { box-sizing: border-box; }
html { font: 400 1.0625rem/1.6 var(--text); background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; }
html:lang(bn) { line-height: 1.75; }
body { margin: 0 auto; max-width: 62rem; padding: 0 1.25rem 4rem; }
a { color: var(--green); text-underline-offset: .2em; }
a:focus-visible, button:focus-visible, pre:focus-visible, .wide:focus-visible { outline: 3px solid var(--green); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: none; }
.skip { position: absolute; left: -100vw; top: .5rem; background: var(--card); padding: .5rem 1rem; }
.skip:focus { left: 1rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; padding: 1.25rem 0; }
.name { display: flex; align-items: center; gap: .6rem; color: inherit; font-weight: 700; letter-spacing: .02em; text-decoration: none; }
.mark { width: 1.5rem; height: 1.5rem; border-radius: .4rem; background: radial-gradient(circle, #f4f1ea 0 30%, #006a4e 32%); }
.badge { font-size: .8rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; background: var(--amber); color: var(--amber-ink); border: 1px solid var(--amber-line); }
nav[aria-label] { display: flex; gap: 1.25rem; }
header nav { margin-left: auto; }
header nav a { text-decoration: none; padding: .25rem 0; }
header nav a:hover, .links a:hover { text-decoration: underline; }
h1, h2, h3 { line-height: 1.2; letter-spacing: -.01em; text-wrap: balance; }
h1:lang(bn), h2:lang(bn), h3:lang(bn) { line-height: 1.4; letter-spacing: 0; }
.hero { padding: 3.5rem 0 1rem; max-width: 48rem; }
.hero h1 { font-size: clamp(2.1rem, 1.3rem + 3.6vw, 3.5rem); margin: 0 0 1.25rem; white-space: pre-line; }
.hero p { font-size: 1.2rem; color: var(--soft); margin: 0; max-width: 42rem; }
.hero p + p { margin-top: .75rem; }
.notice { background: var(--amber); color: var(--amber-ink); border: 1px solid var(--amber-line); border-radius: .75rem; padding: .8rem 1.1rem; margin: 1.75rem 0 0; }
section { margin-top: 3rem; }
section h2 { font-size: 1.35rem; margin: 0 0 .35rem; }
section > p { margin: 0 0 1rem; color: var(--soft); }
figure { margin: 0 0 1.25rem; display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; }
pre, figure { background: var(--code); color: var(--code-ink); border: 1px solid var(--code-line); border-radius: .75rem; }
pre { margin: 0; padding: 1.1rem 1.25rem; font: 400 .9rem/1.65 var(--mono); overflow-x: auto; tab-size: 2; }
figure pre { flex: 1 0 100%; max-width: 100%; order: 1; border: 0; padding-top: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure figcaption { padding: .75rem 1.25rem 0; font-size: .85rem; line-height: 1.9; color: #9fb3a8; }
figure button { margin: .75rem .75rem 0; font: 600 .85rem/1.6 var(--text); color: inherit; background: transparent; border: 1px solid #4a5a52; border-radius: .5rem; padding: .15rem .75rem; cursor: pointer; }
figure button:hover { background: #24332c; }
code { font-family: var(--mono); font-size: .92em; overflow-wrap: anywhere; }
pre code { font-size: inherit; overflow-wrap: inherit; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem; margin-top: 3rem; }
.facts > div { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.1rem 1.25rem; }
.facts h2 { font-size: 1.05rem; margin: 0 0 .35rem; }
.facts p { margin: 0 0 .4rem; color: var(--soft); }
.facts p.value { color: var(--green); font-weight: 600; }
.links { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 0 1.5rem; border-top: 1px solid var(--line); }
.links a { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); text-decoration: none; }
.documentation { display: grid; grid-template-columns: minmax(0, 1fr); gap: 2rem; padding-top: 1.5rem; }
.documentation nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .97rem; }
.documentation nav a { text-decoration: none; display: block; padding: .15rem 0; }
.documentation nav a[aria-current] { color: inherit; font-weight: 700; }
.form { max-width: 28rem; display: grid; gap: .75rem; justify-items: start; margin-top: 1.5rem; }
.form label { font-weight: 600; }
.form input { width: 100%; font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: .5rem; padding: .6rem .8rem; }
.form button { font: 600 1rem/1.6 var(--text); color: var(--paper); background: var(--green); border: 0; border-radius: .5rem; padding: .6rem 1.4rem; cursor: pointer; }
.form input:focus-visible { outline: 3px solid var(--green); outline-offset: 2px; }
.mail { max-width: 44rem; padding-top: 1.5rem; }
.letter { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; margin-top: 1.5rem; white-space: pre-line; overflow-wrap: anywhere; }
.letters { list-style: none; margin: 1.5rem 0 0; padding: 0; border-top: 1px solid var(--line); }
.letters li { border-bottom: 1px solid var(--line); padding: .75rem 0; overflow-wrap: anywhere; }
.letters a { font-weight: 600; text-decoration: none; }
.letters small { display: block; color: var(--soft); font-size: .92rem; }
article { min-width: 0; }
article > :first-child { margin-top: 0; }
article h1 { font-size: 2.1rem; }
article h2 { font-size: 1.45rem; margin: 2.5rem 0 .75rem; }
article h3 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
article pre { margin: 1rem 0; }
article :not(pre) > code { background: color-mix(in srgb, var(--ink) 8%, transparent); border-radius: .3rem; padding: .1em .35em; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .9rem .5rem 0; border-bottom: 1px solid var(--line); }
td code { overflow-wrap: normal; }
td:last-child { min-width: 14rem; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line); color: var(--soft); }
.aside { color: var(--soft); font-size: .95rem; }
@media (min-width: 56rem) {
  .documentation { grid-template-columns: 12rem minmax(0, 1fr); gap: 3rem; }
  .documentation nav ul { display: block; position: sticky; top: 1.5rem; }
}
@media (max-width: 30rem) {
  td:nth-child(2):not(:last-child) { min-width: 11rem; }
  td:nth-child(2):last-child { min-width: 9.5rem; }
  .hero { padding-top: 1.75rem; }
  pre { font-size: .82rem; padding-left: 1rem; padding-right: 1rem; }
  figure figcaption { padding-left: 1rem; }
}
@media print { .skip, button { display: none; } }
.over { font-size: .95rem; font-weight: 600; margin-bottom: .75rem; }
.act { margin: 1.5rem 0 0; }
.button, .fields button { display: inline-block; font: 600 1rem/1.5 var(--text); background: var(--green); color: var(--paper); border: 0; border-radius: .6rem; padding: .7rem 1.3rem; text-decoration: none; cursor: pointer; }
.rows { margin: 0; border-top: 1px solid var(--line); }
.rows div { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .25rem 1.5rem; padding: .7rem 0; border-bottom: 1px solid var(--line); }
.rows dt { color: var(--soft); }
.rows dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.fields { display: grid; gap: 1rem; max-width: 26rem; margin-top: 1rem; }
.fields label { display: grid; gap: .35rem; font-weight: 600; font-size: .95rem; }
.fields input, .fields select { font: 400 1rem/1.5 var(--text); color: var(--ink); background: var(--card); border: 1px solid var(--soft); border-radius: .6rem; padding: .6rem .8rem; width: 100%; }
.fields input:focus-visible, .fields select:focus-visible { outline: 3px solid var(--green); outline-offset: 1px; }
.fields button { justify-self: start; }
`;
