import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { loadConfig } from '../config.ts';
import { bangla } from './bangla.ts';
import { renderDocument } from './documents.ts';
import { english } from './english.ts';
import { healthCheck } from './health.ts';
import { buildPages } from './pages.ts';

const demo = 'sk-or-demo';

function pages(
  environment: Record<string, string> = {},
  demoKey: string | null = demo,
  ping: () => Promise<unknown> = async () => {},
) {
  return buildPages({
    config: loadConfig(environment, ['openai']),
    origin: () => 'http://localhost:3456',
    demoKey: () => demoKey,
    ping,
    metrics: {
      books: () => Promise.reject(new Error('no database here')),
      payments: () => Promise.reject(new Error('no database here')),
      routing: () => ({ keys: [], breakers: [], probes: [] }),
      inFlight: () => 0,
    },
    report: () => {},
  });
}

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

test('both languages have the same texts with the same places to fill in, and none is empty by accident', () => {
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  assert.deepEqual(Object.keys(bangla), Object.keys(english));
  for (const [key, text] of Object.entries(english)) {
    const translated = new Map(Object.entries(bangla)).get(key) ?? '';
    assert.deepEqual(places(translated), places(text), key);
    if (key !== 'inEnglish') assert.ok(text && translated, key);
  }
});

test('the front page names the sandbox, the base URL and a command with the demo key', async () => {
  const answer = await pages().request('/', { headers: browser });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/html; charset=utf-8/i);
  const text = await answer.text();
  assert.ok(text.includes('curl http://localhost:3456/v1/chat/completions'));
  assert.ok(text.includes(`Bearer ${demo}`));
  assert.ok(text.includes(english.sandboxClosed));
  assert.ok(!text.includes('YOUR_API_KEY'));
});

test('without a demo account the page shows how to get a key and no key', async () => {
  const text = await (
    await pages({ OPENAI_API_KEY: 'secret-of-openai' }, null).request('/')
  ).text();
  assert.ok(text.includes('Bearer YOUR_API_KEY'));
  assert.ok(text.includes('key create'));
  assert.ok(text.includes('OpenAI'));
  assert.ok(!text.includes('secret-of-openai'));
});

test('a live installation says nothing of a sandbox and shows its public address', async () => {
  const environment = { MODE: 'live', PUBLIC_URL: 'https://akaicore.space' };
  const answer = await pages(environment, null).request('/');
  const text = await answer.text();
  assert.ok(text.includes('curl https://akaicore.space/v1/chat/completions'));
  assert.ok(!/sandbox/i.test(text));
  assert.equal(answer.headers.get('strict-transport-security'), 'max-age=31536000');
});

test('language: the address wins and is remembered, then the cookie, then the browser', async () => {
  const language = async (path: string, headers: Record<string, string>) => {
    const answer = await pages().request(path, { headers });
    return /<html lang="(\w+)">/.exec(await answer.text())?.[1];
  };
  assert.equal(await language('/', {}), 'en');
  assert.equal(await language('/', { 'accept-language': 'bn-BD,bn;q=0.9,en;q=0.8' }), 'bn');
  assert.equal(await language('/', { 'accept-language': 'fr, en;q=0.5, bn;q=0.7' }), 'bn');
  assert.equal(await language('/', { 'accept-language': 'bn;q=0, en;q=0.1' }), 'en');
  assert.equal(await language('/', { cookie: 'lang=bn', 'accept-language': 'en' }), 'bn');
  assert.equal(await language('/?lang=en', { cookie: 'lang=bn' }), 'en');
  assert.equal(await language('/?lang=xx', { cookie: 'lang=bn' }), 'bn');
  const remembered = (await pages().request('/?lang=bn')).headers.get('set-cookie');
  assert.match(remembered ?? '', /^lang=bn; Max-Age=31536000; Path=\/; HttpOnly; SameSite=Lax$/);
  assert.equal((await pages().request('/')).headers.get('set-cookie'), null);
});

test('the policy admits exactly the style and the script of the page', async () => {
  const answer = await pages().request('/');
  const policy = answer.headers.get('content-security-policy') ?? '';
  const text = await answer.text();
  for (const tag of ['style', 'script']) {
    const content = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(text)?.[1] ?? '';
    const digest = createHash('sha256').update(content).digest('base64');
    assert.ok(policy.includes(`${tag}-src 'sha256-${digest}'`), tag);
  }
  assert.ok(!policy.includes('unsafe'));
  assert.ok(!/ (?:style|on\w+)="/.test(text), 'an inline style or handler would be blocked');
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(answer.headers.get('cache-control'), 'private, no-cache');
});

test('a slash behind an address changes nothing', async () => {
  assert.equal((await pages().request('/docs/')).status, 302);
  assert.equal((await pages().request('/docs/quickstart/')).status, 200);
});

test('examples name this installation, of the API of the site, too', async () => {
  const text = await (await pages().request('/docs/alerts')).text();
  assert.ok(text.includes('http://localhost:3456/api/alerts'), text);
  assert.ok(text.includes('Origin: http://localhost:3456&quot;'), text);
  assert.ok(!text.includes('https://akaicore.space'));
  const settings = await (await pages().request('/docs/settings')).text();
  assert.match(settings, /PUBLIC_URL.*https:\/\/akaicore\.space/s);
});

test('a missing page helps people along and answers programs in JSON', async () => {
  const page = await pages().request('/docs/no-such-page', { headers: browser });
  assert.equal(page.status, 404);
  const text = await page.text();
  assert.ok(text.includes(english.missingTitle) && text.includes('/docs/no-such-page'));
  assert.ok(page.headers.has('content-security-policy'));
  const answer = await pages().request('/nothing', { headers: { accept: '*/*' } });
  assert.equal(answer.status, 404);
  const body: unknown = await answer.json();
  assert.deepEqual(body, {
    error: 'Not found.',
    code: 'not_found',
    request_id: answer.headers.get('x-request-id'),
  });
});

test('what an address contains is never taken for markup', async () => {
  const path = `/docs/${encodeURIComponent('<img src=x onerror=alert(1)>')}`;
  const text = await (await pages().request(path, { headers: browser })).text();
  assert.ok(!text.includes('<img'));
  for (const upwards of ['..%2Fpackage.json', '..%2F..%2Fpackage', '%2e%2e%2fREADME'])
    assert.equal((await pages().request(`/docs/${upwards}`)).status, 404, upwards);
});

test('a document is rendered with anchors, links between pages, and wide things within reach of the keyboard', () => {
  const markdown = [
    '# `Wallet` & credits',
    'See [errors](./errors.md#codes), [models](models.md), [home](https://example.com/a.md).',
    '## Codes',
    '## Codes',
    '| a | b |\n|---|---|\n| 1 | 2 |',
    '```bash\ncurl "<x>"\n```',
    'Ask `GET /api/keys/:id?a=<b>&c`.',
  ].join('\n\n');
  const { title, body } = renderDocument('wallet', markdown);
  assert.equal(title, 'Wallet & credits');
  for (const part of [
    '<h1 id="wallet-credits"><code>Wallet</code> &amp; credits</h1>',
    'href="/docs/errors#codes"',
    'href="/docs/models"',
    'href="https://example.com/a.md"',
    '<h2 id="codes">Codes</h2>',
    '<h2 id="codes-1">Codes</h2>',
    '<div class="wide" tabindex="0"><table>',
    '<code>GET /api/<wbr>keys/<wbr>:id?a=&lt;b>&amp;c</code>',
    '<pre tabindex="0"><code class="language-bash">curl &quot;&lt;x&gt;&quot;',
  ])
    assert.ok(body.includes(part), `${part} in ${body}`);
});

test('health follows the database and asks it at most once a second', async () => {
  let asked = 0;
  let up = true;
  let clock = 0;
  const ping = async () => {
    asked += 1;
    if (!up) throw new Error('connection refused');
  };
  const healthy = healthCheck(ping, () => clock);
  assert.deepEqual(await Promise.all([healthy(), healthy(), healthy()]), [true, true, true]);
  assert.equal(asked, 1);
  up = false;
  clock = 999;
  assert.equal(await healthy(), true);
  clock = 1000;
  assert.equal(await healthy(), false);
  assert.equal(asked, 2);
});

test('/healthz answers 200 or 503, and 503 too when the database is silent', async () => {
  const fine = await pages().request('/healthz');
  assert.equal(fine.status, 200);
  assert.deepEqual(await fine.json(), { status: 'ok' });
  const silent = await pages({}, demo, () => new Promise(() => {})).request('/healthz');
  assert.equal(silent.status, 503);
});
