/** The official `openai` package of PyPI as a client: test/python/sdk.py, test by test. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isPythonRequired, pythonWithOpenAI, runPython } from './python.ts';
import { failures, startScene } from './scene.ts';

const program = join(import.meta.dirname, 'python/sdk.py');
const python = await pythonWithOpenAI();

interface Outcome {
  readonly name: string;
  readonly problem: string | null;
}

if ('missing' in python)
  test('the Python SDK', { skip: !isPythonRequired && python.missing }, () => {
    assert.fail(python.missing);
  });
else {
  const scene = await startScene();
  after(() => scene[Symbol.asyncDispose]());

  const outcomes = async (
    part: 'answers' | 'errors',
    which: typeof failures,
  ): Promise<Outcome[]> => {
    const { troubles } = scene;
    const given = JSON.stringify({ troubles, failures: which });
    const printed = await runPython(python.path, [program, part, given]);
    return printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  const usual = failures.filter(({ trouble }) => trouble !== 'broken');
  const broken = failures.filter(({ trouble }) => trouble === 'broken');

  test('answers', async (t) => {
    const all = await outcomes('answers', []);
    assert.ok(all.length > 10);
    for (const { name, problem } of all) await t.test(name, () => assert.equal(problem, null));
  });

  test('errors', async (t) => {
    const all = await outcomes('errors', usual);
    await scene.breakStrict();
    all.push(...(await outcomes('errors', broken)));
    assert.equal(all.length, failures.length);
    for (const { name, problem } of all) await t.test(name, () => assert.equal(problem, null));
  });
}
