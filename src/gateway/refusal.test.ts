/** Whose trouble each error of each provider is, in whichever form it comes: the client's, our key's, our pace's, or the provider's. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providerEntries } from '../catalogue/catalogue.ts';
import { dialectOf, dialects } from '../dialects/dialects.ts';
import { providerErrors } from '../dialects/fixtures/provider_errors.ts';
import { KeyRing } from './provider_keys.ts';
import { refusalOf } from './refusal.ts';

function dialectAt(id: string) {
  if (id === 'vertexOpenai') return dialects.vertexOpenai;
  const entry = providerEntries.find((each) => each.id === id);
  assert.ok(entry, id);
  return dialectOf(entry.dialect, entry.quirks);
}

const secret = 'sk-secret-of-ours';

/** What we make of an answer with this status and body. */
function read(id: string, status: number, body: string, headers: Readonly<Record<string, string>>) {
  const keys = new KeyRing(
    id,
    secret,
    () => [],
    () => {},
  );
  const call = {
    status,
    text: async () => body,
    header: (name: string) => headers[name] ?? '',
  };
  const asked = { dialect: dialectAt(id), origin: 'https://provider.example', keys };
  return refusalOf(call, asked, '{"messages":[]}');
}

for (const [id, { errors }] of Object.entries(providerErrors))
  describe(`an error of ${id}`, () => {
    for (const [status, body, told, whose] of errors)
      test(`${status} ${JSON.stringify(body)} is of the ${whose}`, async () => {
        const refusal = await read(id, status, JSON.stringify(body), { 'retry-after': '7' });
        assert.equal(refusal.message, told);
        assert.equal(refusal.final === null ? refusal.kind : 'client', whose);
        if (refusal.final) assert.equal(refusal.final.status, status === 413 ? 413 : 400);
        assert.equal(refusal.retryAfterMs, whose === 'rate' ? 7000 : null);
      });
  });

test('what a provider quotes of our key or its address is not told', async () => {
  const body = JSON.stringify({ error: { message: `${secret} at https://provider.example/v1` } });
  const { message } = await read('groq', 401, body, {});
  assert.equal(message, '… at …/v1');
});

test('how long to wait: in seconds, in ms, until a date, at most an hour, and else five seconds', async () => {
  const waits = [
    [{ 'retry-after': '2' }, 2000],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 0],
    [{ 'retry-after': '999999' }, 3_600_000],
    [{ 'retry-after': 'soon' }, 5000],
    [{}, 5000],
  ] as const;
  for (const [headers, ms] of waits)
    assert.equal((await read('openai', 429, '{}', headers)).retryAfterMs, ms);
});
