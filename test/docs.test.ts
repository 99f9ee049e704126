/** The documentation is true: every block of code in it is run, every JSON compared with what is really answered. */

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { parseEnv, promisify } from 'node:util';
import {
  authorEntries,
  findModel,
  providerEntries,
  providers,
} from '../src/catalogue/catalogue.ts';
import { withOwnModels } from '../src/catalogue/own_models.ts';
import { loadConfig, providerVariables, settings } from '../src/config.ts';
import { proveBooks } from './books.ts';
import { rowsOf, textOf } from './documentation.ts';
import { startInstallation } from './installation.ts';
import { isPythonRequired, pythonWithOpenAI, runPython } from './python.ts';
import { differences, isObject } from './shape.ts';

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

const installation = await startInstallation();
const { baseUrl, origin, key, email, akai, dataDir } = installation;
const python = await pythonWithOpenAI();
if ('missing' in python && isPythonRequired) throw new Error(python.missing);
// Beside node_modules, so that the examples find the packages that they import.
mkdirSync(join(root, '.cache'), { recursive: true });
const scratch = mkdtempSync(join(root, '.cache', 'docs-'));
const somewhere = mkdtempSync(join(tmpdir(), 'akai-docs-'));
mkdirSync(join(somewhere, 'data'));
after(async () => {
  await proveBooks(installation);
  await installation.remove();
  for (const folder of [scratch, somewhere]) rmSync(folder, { recursive: true, force: true });
});

interface Block {
  readonly page: string;
  /** What stands behind the opening fence: the language, then how it is tried. */
  readonly info: string;
  readonly text: string;
  readonly line: number;
}

function blocksOf(page: string): Block[] {
  const text = textOf(page);
  const found = [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)];
  assert.equal(
    found.length * 2,
    text.match(/^\s*```/gm)?.length ?? 0,
    `${page}: a fence is left open, or indented`,
  );
  return found.map(({ index, 1: info = '', 2: content = '' }) => ({
    page,
    info: info.trim(),
    text: content,
    line: text.slice(0, index).split('\n').length,
  }));
}

/** A key that may be revoked. */
const spare = await akai<{ id: string }>('key', 'create', '--email', email, '--name', 'spare');

function substituted(text: string): string {
  return text
    .replaceAll('https://akaicore.space', origin)
    .replaceAll('http://localhost:3000', origin)
    .replaceAll('YOUR_API_KEY', key)
    .replaceAll('KEY_ID', spare.id);
}

/** What the last block answered, for the block that shows it. */
let lastOutput = '';
let lastAnswer: unknown = null;

async function post(
  body: unknown,
  headers: Record<string, string> = {},
  secret = key,
): Promise<Response> {
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

/** Commands that install, serve or test: this very run, or the tests of the command line, do what they say. */
const elsewhere: Readonly<Record<string, string>> = {
  'npm start': 'node bin/akai serve',
  'npm test': 'node bin/with-node test/all.ts',
};

const missing = ['bash', 'curl'].find((name) => spawnSync(name, ['--version']).error);

/** What `npm run -s akai --` starts. The page with most of them asks for it without npm, which takes as long as the command. */
const withoutNpm = 'docs/command-line.md';
const viaNpm = 'npm run -s akai -- ';

async function shell(t: TestContext, { page, text }: Block): Promise<void> {
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, ''));
  if (lines.every((line) => line in elsewhere)) {
    const { scripts } = JSON.parse(textOf('package.json'));
    for (const line of lines) assert.equal(scripts[line.slice(4)], elsewhere[line]);
    return;
  }
  if (missing) return t.skip(`there is no ${missing} on this machine`);
  if (text.includes('python3') && 'missing' in python) return t.skip(python.missing);
  const npm = 'npm() { command npm --prefix "$AKAI_ROOT" "$@"; }';
  const venv = 'path' in python ? `${dirname(python.path)}:` : '';
  const env = {
    PATH: `${venv}${process.env.PATH}`,
    HOME: process.env.HOME,
    AKAI_ROOT: root,
    // What stands in a developer's .env must not matter.
    DATA_DIR: dataDir,
    DATABASE_URL: '',
    MODE: 'sandbox',
    AKAI_SECRET: '',
  };
  const direct = 'akai() { (cd "$AKAI_ROOT" && node bin/akai "$@"); }';
  const asked = page === withoutNpm ? text.replaceAll(viaNpm, 'akai ') : text;
  const script = `set -euo pipefail\n${npm}\n${direct}\n${substituted(asked)}`;
  // Without --norc, bash takes the socket that is its stdin for a login from afar and reads the user's .bashrc.
  const { stdout } = await run('bash', ['--norc', '-c', script], {
    cwd: somewhere,
    env,
    timeout: 60_000,
  });
  lastOutput = stdout;
  assert.doesNotMatch(stdout, /^\{"error"/m);
}

let scripts = 0;

async function javascript({ text }: Block): Promise<void> {
  scripts += 1;
  const file = join(scratch, `block${scripts}.mjs`);
  writeFileSync(file, substituted(text));
  const { stderr } = await run(process.execPath, [file], { timeout: 60_000 });
  assert.equal(stderr, '');
}

async function pythonProgram(t: TestContext, { text }: Block): Promise<void> {
  if ('missing' in python) return t.skip(python.missing);
  await runPython(python.path, ['-W', 'error', '-c', substituted(text)]);
}

/** Meets an error as the page shows it. */
async function failure(status: string, format: string | undefined): Promise<unknown> {
  const messages = [{ role: 'user', content: 'Hello' }];
  const headers: Record<string, string> = format ? { 'x-error-format': format } : {};
  let secret = key;
  if (status === '402') {
    await akai(
      'user',
      'create',
      '--email',
      'poor@example.com',
      '--password',
      'correct horse battery',
    );
    ({ key: secret } = await akai<{ key: string }>(
      'key',
      'create',
      '--email',
      'poor@example.com',
      '--name',
      'poor',
    ));
  }
  const model = status === '404' ? 'openai/gpt-5-imaginary' : 'openai/gpt-4o-mini';
  const response = await post({ model, messages }, headers, secret);
  assert.equal(String(response.status), status);
  return response.json();
}

/** What a key with limits gets: a refusal, or the answer of a GET. */
async function limited(what: string): Promise<unknown> {
  const { key: secret } = await akai<{ key: string }>(
    ...['key', 'create', '--email', email, '--name', 'limited'],
    ...['--limit-usd', '20', '--limit-daily-usd', '0.0001'],
  );
  if (what.startsWith('/')) {
    const headers = { authorization: `Bearer ${secret}` };
    return (await fetch(`${baseUrl}${what}`, { headers })).json();
  }
  const messages = [{ role: 'user', content: 'Hello' }];
  const response = await post(
    { model: 'openai/gpt-4o-mini', messages, max_tokens: 10_000 },
    {},
    secret,
  );
  assert.equal(response.status, 402);
  return JSON.parse(withoutMoments(await response.text()));
}

/** Moments and numbers of tokens are others each day. */
function withoutMoments(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'MOMENT')
    .replace(/max_tokens of \d+/, 'max_tokens of N');
}

/** `json …`: what the words behind it say is the actual JSON of the documented one. */
async function json({ info, text }: Block): Promise<void> {
  const isLimited = info.startsWith('json limited error');
  const documented: unknown = JSON.parse(isLimited ? withoutMoments(text) : text);
  const [, what = '', ...words] = info.split(' ');
  let actual: unknown;
  if (what === 'request') {
    const response = await post(documented);
    lastAnswer = await response.json();
    assert.equal(response.status, Number(words[0] ?? 200), JSON.stringify(lastAnswer));
    return;
  }
  if (what === 'answer') actual = lastAnswer;
  else if (what === 'akai')
    actual = await akai(...words, ...(words[0] === 'wallet' ? ['--email', email] : []));
  else if (what === 'printed') actual = JSON.parse(lastOutput);
  else if (what === 'limited') actual = await limited(words[0] ?? '');
  else if (what === 'error') actual = await failure(words[0] ?? '', words[1]);
  else if (what === 'quote') actual = lastOutput === '' ? null : JSON.parse(lastOutput);
  else if (what === 'GET') {
    const headers = { authorization: `Bearer ${key}` };
    actual = await (await fetch(`${baseUrl}${words[0]}`, { headers })).json();
  } else assert.fail(`"json ${what}" says nothing about how to try it`);
  assert.deepEqual(differences(documented, actual), []);
}

/** Events of a stream, as the block before it printed them. */
function events(text: string): unknown[] {
  const data = text
    .split('\n\n')
    .map((event) => event.trim())
    .filter((event) => event !== '');
  return data.map((event) => {
    assert.match(event, /^data: /);
    return event === 'data: [DONE]' ? 'DONE' : JSON.parse(event.slice('data: '.length));
  });
}

function stream({ text }: Block): void {
  const documented = events(text);
  const actual = events(lastOutput);
  assert.equal(actual.at(-1), documented.at(-1));
  assert.deepEqual(differences(documented.slice(0, -1), actual.slice(0, -1)), []);
}

function environment({ text }: Block): void {
  const given = parseEnv(text);
  const names = [...providers.keys()].flatMap((id) => Object.values(providerVariables(id)));
  const known = new Set([...names, ...Object.values(settings).map(({ variable }) => variable)]);
  for (const name of Object.keys(given)) assert.ok(known.has(name), `there is no setting ${name}`);
  assert.ok(loadConfig(given, [...providers.keys()]));
}

async function tryOut(t: TestContext, block: Block): Promise<void> {
  const [language = ''] = block.info.split(' ');
  if (language === 'bash') await shell(t, block);
  else if (language === 'js') await javascript(block);
  else if (language === 'python') await pythonProgram(t, block);
  else if (block.info === 'json own models')
    withOwnModels(block.text, authorEntries, providerEntries);
  else if (language === 'json') await json(block);
  else if (language === 'sse') stream(block);
  else if (language === 'dotenv') environment(block);
  else if (block.info === 'text drawing')
    assert.doesNotMatch(block.text, /^\s*(\$|curl|npm|npx)\b/m);
  else assert.fail(`nobody knows how to try a block of "${block.info}"`);
}

for (const page of pages)
  describe(page, () => {
    for (const block of blocksOf(page))
      test(`line ${block.line}: ${block.info}`, (t) => tryOut(t, block));
    test('links lead somewhere', () => {
      for (const [, target = ''] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) leads(page, target);
    });
    test('models exist', () => {
      for (const [id] of textOf(page).matchAll(
        /(?<![/.])\b(openai|anthropic|google|x-ai)\/[a-z0-9][\w.-]*\w/g,
      ))
        assert.ok(findModel(id) || id === 'openai/gpt-5-imaginary', id);
    });
  });

/** `page.md#a-heading`, as the site names its headings. */
function leads(page: string, target: string): void {
  if (/^https?:/.test(target)) return;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : normalize(join(dirname(page), path));
  assert.ok(existsSync(join(root, file)), `${target} leads nowhere`);
  if (anchor === undefined) return;
  const headings = [...textOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{Letter}\p{Number}\s-]/gu, '')
      .trim()
      .replace(/\s+/g, '-'),
  );
  assert.ok(headings.includes(anchor), `${target} leads to no heading`);
}

/** Values that a documented type refuses, and numbers that it takes. */
function probes(type: string): { bad: unknown[]; good: number[] } {
  const [, low, high] = /(-?\d+) to (\d+)/.exec(type) ?? [];
  const [, least] = /at least (\d+)/.exec(type) ?? [];
  const bad: unknown[] = [type.includes('string') ? 5 : 'x'];
  if (type.startsWith('integer')) bad.push(1.5);
  if (least !== undefined) bad.push(Number(least) - 1);
  if (low === undefined || high === undefined) return { bad, good: [] };
  return { bad: [...bad, Number(low) - 1, Number(high) + 1], good: [Number(low), Number(high)] };
}

test('docs/chat-completions.md lists every parameter, with its type and range', async () => {
  const rows = rowsOf('docs/chat-completions.md', 'Request parameters');
  const source = textOf('src/gateway/chat_request.ts');
  const table = /^const parameters[^{]*\{\n([\s\S]*?)^\};/m.exec(source)?.[1] ?? '';
  const checked = [...table.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name);
  assert.ok(checked.length > 30);
  assert.deepEqual(rows.map(([name]) => name).sort(), checked.sort());

  const messages = [{ role: 'user', content: 'Hello' }];
  const ask = async (name: string, value: unknown): Promise<[number, Record<string, unknown>]> => {
    const logprobs = name === 'top_logprobs' ? { logprobs: true } : {};
    const response = await post({
      model: 'openai/gpt-4o-mini',
      messages,
      max_tokens: 1,
      ...logprobs,
      [name]: value,
    });
    const body: unknown = await response.json();
    assert.ok(isObject(body));
    return [response.status, body];
  };
  for (const [name = '', type = ''] of rows) {
    const { bad, good } = probes(type);
    for (const value of bad) {
      const [status, { code, param }] = await ask(name, value);
      assert.deepEqual([status, code, param], [400, 'invalid_request', name], `${name}: ${value}`);
    }
    for (const value of good) {
      const [status, body] = await ask(name, value);
      assert.equal(status, 200, `${name}: ${value}: ${JSON.stringify(body)}`);
    }
    if (type.includes('required')) assert.equal((await ask(name, undefined))[1].param, name);
  }
});
