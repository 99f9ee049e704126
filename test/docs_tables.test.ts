/** What the documentation lists is all that there is: settings, errors, commands. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '../src/commands.ts';
import { errors } from '../src/errors.ts';
import { settingsFile, settingsPage } from '../src/settings-page.ts';
import { rowsOf, textOf } from './documentation.ts';

test('npm run akai is what the blocks start that go without npm', () => {
  assert.equal(JSON.parse(textOf('package.json')).scripts.akai, 'node bin/akai');
});

test('docs/settings.md is what npm run env writes', () => {
  assert.equal(readFileSync(settingsFile, 'utf8'), settingsPage(), 'Run npm run env.');
});

test('docs/errors.md lists every error, with its status and sentence', () => {
  const listed = rowsOf('docs/errors.md', 'Codes').map(([status, code, sentence]) => [
    code,
    Number(status),
    sentence,
  ]);
  assert.deepEqual(
    listed,
    Object.entries(errors).map(([code, [status, sentence]]) => [code, status, sentence]),
  );
});

test('docs/command-line.md names every command, as its help does', () => {
  const page = textOf('docs/command-line.md').replace(/\s+/g, ' ');
  for (const [name, { usage }] of Object.entries(commands))
    assert.ok(page.includes(`\`${`${name} ${usage}`.trim()}\``), `${name} ${usage}`);
});
