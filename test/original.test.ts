/** The product's published examples (original.md) work as they stand: host and key are all that is put in. */

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { isPythonRequired, pythonWithOpenAI, runPython } from './python.ts';
import { type Failure, failures, startScene, type Trouble } from './scene.ts';
import { differences, isObject } from './shape.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const page = readFileSync(join(import.meta.dirname, 'original.md'), 'utf8');
const python = await pythonWithOpenAI();
const scene = await startScene();
const { main, troubles } = scene;
// Beside node_modules, so that the examples find the packages that they import.
mkdirSync(join(root, '.cache'), { recursive: true });
const scratch = mkdtempSync(join(root, '.cache', 'original-'));
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await scene[Symbol.asyncDispose]();
});

interface Example {
  readonly title: string;
  readonly language: string;
  /** What it gives. */
  readonly what: string;
  readonly text: string;
}

const examples: readonly Example[] = [
  ...page.matchAll(/^## (.+)\n\n```(\w+) ?(\w*)\n([\s\S]*?)\n```$/gm),
].map(([, title = '', language = '', what = '', text = '']) => ({ title, language, what, text }));

function filled(text: string, { baseUrl, key }: Trouble): string {
  const result = text
    .replaceAll('https://akaicore.space/v1', baseUrl)
    .replaceAll('YOUR_API_KEY', key);
  assert.doesNotMatch(result, /akaicore\.space/);
  return result;
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

async function javascript(text: string): Promise<Printed> {
  const file = join(scratch, `${crypto.randomUUID()}.mjs`);
  writeFileSync(file, text);
  return run(process.execPath, [file], { timeout: 60_000 });
}

async function printed({ language, text }: Example): Promise<Printed> {
  const program = filled(text, troubles.good);
  if (language === 'js') return javascript(program);
  if (language === 'bash') {
    const { stdout } = await run('bash', ['--norc', '-c', program], { timeout: 60_000 });
    // curl shows its progress on stderr.
    return { stdout, stderr: '' };
  }
  assert.ok('path' in python);
  return { stdout: await runPython(python.path, ['-W', 'error', '-c', program]), stderr: '' };
}

function documented(what: string): unknown {
  const example = examples.find((one) => one.language === 'json' && one.what === what);
  assert.ok(example, `no JSON of ${what}`);
  return JSON.parse(example.text);
}

/** What the output of a program must be, by the second word of its fence. */
const checks: Readonly<Record<string, (stdout: string) => void>> = {
  '': (stdout) => assert.equal(stdout, ''),
  text: (stdout) => assert.match(stdout, /^\[sandbox\] \S/),
  completion: (stdout) =>
    assert.deepEqual(differences(documented('completion'), JSON.parse(stdout)), []),
  models: (stdout) => assert.deepEqual(differences(documented('models'), JSON.parse(stdout)), []),
  ids: (stdout) => {
    for (const id of ['openai/gpt-4o-mini', 'anthropic/claude-3-5-sonnet'])
      assert.ok(stdout.includes(id), stdout);
  },
  stream: (stdout) => {
    const events = stdout.split('\n\n').filter(Boolean);
    assert.equal(events.at(-1)?.trim(), 'data: [DONE]');
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, '')));
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    assert.match(text, /^\[sandbox\] \S/);
    assert.ok(chunks.every(({ object }) => object === 'chat.completion.chunk'));
  },
};

test('none has got lost', () => {
  const count = (language: string): number =>
    examples.filter((one) => one.language === language).length;
  assert.deepEqual(['bash', 'python', 'js', 'json'].map(count), [5, 3, 4, 5]);
  assert.equal(page.match(/^```/gm)?.length, 2 * examples.length);
});

const absent = ['bash', 'curl'].find((name) => spawnSync(name, ['--version']).error);
const obstacles: Readonly<Record<string, string>> = {
  ...(absent ? { bash: `there is no ${absent} on this machine` } : {}),
  ...('missing' in python && !isPythonRequired ? { python: python.missing } : {}),
};

for (const example of examples) {
  const { title, language, what } = example;
  if (language === 'json' || what === 'errors') continue;
  const skip = obstacles[language] ?? false;
  test(title, { skip }, async () => {
    const { stdout, stderr } = await printed(example);
    assert.equal(stderr, '');
    const check = checks[what];
    assert.ok(check, `nobody knows what "${what}" is`);
    check(stdout);
  });
}

async function post({ baseUrl, key }: Trouble, body: unknown): Promise<Response> {
  return fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

test('the documented request body, and the body of an error', async () => {
  const response = await post(troubles.good, documented('request'));
  assert.equal(response.status, 200);
  assert.deepEqual(differences(documented('completion'), await response.json()), []);
  const refused = await post(troubles.poor, documented('request'));
  assert.equal(refused.status, 402);
  assert.deepEqual(differences(documented('poor'), await refused.json()), []);
});

test('the wallet, its amounts and its sentences', async () => {
  await post(troubles.good, { ...payload, model: 'anthropic/claude-3-5-sonnet' });
  const note = ['--note', 'Top-up via bKash'];
  await main.akai('wallet', 'credit', '--email', main.email, '--usd', '10', ...note);
  const wallet = await main.akai('wallet', 'show', '--email', main.email);
  const expected = documented('wallet');
  assert.deepEqual(differences(expected, wallet), []);
  const sentences = (value: unknown): unknown[] => {
    assert.ok(isObject(value) && Array.isArray(value.transactions));
    return value.transactions.map(({ description }) => description);
  };
  for (const sentence of sentences(expected)) assert.ok(sentences(wallet).includes(sentence));
});

const payload = {
  model: 'openai/gpt-4o-mini',
  messages: [{ role: 'user', content: 'Hello' }],
};

/** What the published error handling prints for a failure, on stdout or stderr. */
function words({ status, says }: Failure): { stdout?: string; stderr?: string } {
  if (status === 401) return { stderr: `Unauthorized: ${says}` };
  if (status === 402) return { stdout: `Insufficient credits: ${says}` };
  if (status === 404) return { stdout: `Model not found: ${says}` };
  if (status === 429) return { stdout: 'Rate limited. Retrying after backoff...' };
  if (status === 500) return { stderr: `Server error: ${says}` };
  return { stderr: `API error: ${status} ${says}` };
}

test('error handling tells every failure apart, and is silent where there is none', async (t) => {
  const example = examples.find(({ what }) => what === 'errors')?.text ?? '';
  const handle = (trouble: Trouble, request: object = {}): Promise<Printed> => {
    const given = `const payload = ${JSON.stringify({ ...payload, ...request })};\n`;
    return javascript(given + filled(example, trouble));
  };
  assert.deepEqual(await handle(troubles.good), { stdout: '', stderr: '' });
  // The example always sends a key.
  for (const failure of failures.filter(({ trouble }) => trouble !== 'missing'))
    await t.test(`${failure.status} ${failure.code}`, async () => {
      if (failure.trouble === 'broken') await scene.breakStrict();
      const trouble = troubles[failure.trouble];
      for (let tries = 1; tries < (failure.tries ?? 1); tries += 1)
        await (await post(trouble, payload)).text();
      const output = await handle(trouble, failure.request);
      const { stdout = '', stderr = '' } = words(failure);
      assert.ok(output.stdout.startsWith(stdout), output.stdout);
      assert.ok(output.stderr.startsWith(stderr), output.stderr);
      assert.deepEqual(
        [output.stdout === '', output.stderr === ''],
        [stdout === '', stderr === ''],
      );
    });
});
