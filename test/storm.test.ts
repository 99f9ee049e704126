/** Some seconds of what `npm run storm` does for ten minutes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storm } from './storm/round.ts';

test('two offers that fail three times in ten, in every way at once: clients are answered, and each answer is paid once', async () => {
  const seed = Date.now() % 1_000_000;
  const report = await storm(10_000, 8, seed);
  const context = JSON.stringify({ seed, ...report });
  assert.ok(report.requests > 50, context);
  // Of so few requests, one in two hundred may be bad luck.
  assert.ok(report.availability >= 0.995, context);
  assert.equal(report.misbilled, 0, context);
  assert.ok(report.auditOk, context);
  // In OpenAI's form, with quirks and without, and in four others.
  assert.ok(Object.keys(report.providers).length >= 6, context);
});
