import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseEnv } from 'node:util';
import { loadConfig } from './config.ts';
import { configExample, exampleFile } from './config-example.ts';

test('.env.example is what npm run env writes', () => {
  assert.equal(readFileSync(exampleFile, 'utf8'), configExample(), 'Run npm run env.');
});

test('every value of .env.example is accepted, and is the default', () => {
  const uncommented = configExample().replace(/^#(?=[A-Z][A-Z0-9_]*=)/gm, '');
  const values = parseEnv(uncommented);
  assert.ok(Object.keys(values).length > 20);
  const withoutProviders = Object.fromEntries(
    Object.entries(values).filter(([name]) => !/_BASE_URL$/.test(name)),
  );
  assert.deepEqual(loadConfig(withoutProviders, []), loadConfig({}, []));
  assert.equal(
    loadConfig(values, ['openai']).providers.get('openai')?.baseUrl,
    values.OPENAI_BASE_URL,
  );
});
