import { strict as assert } from 'node:assert';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../config.ts';
import { installationSecret, seal, unseal } from './secret.ts';

test('the secret is made once, readable by its owner only, however many ask at once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'akai-secret-'));
  try {
    const config = loadConfig({ DATA_DIR: join(folder, 'not', 'there') }, []);
    const secrets = await Promise.all(Array.from({ length: 8 }, () => installationSecret(config)));
    assert.equal(new Set(secrets).size, 1);
    assert.equal(secrets[0]?.length, 43);
    const path = join(config.dataDir, 'secret');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await readFile(path, 'utf8')).trim(), await installationSecret(config));
    await writeFile(path, 'short\n');
    await assert.rejects(installationSecret(config), /is damaged/);
    const own = loadConfig({ DATA_DIR: folder, AKAI_SECRET: 'x'.repeat(40) }, []);
    assert.equal(await installationSecret(own), 'x'.repeat(40));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what is sealed opens under the same secret and name, and no other, and no changed byte passes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.nat(), (secret, name, text, place) => {
      const sealed = seal(secret, name, text);
      assert.equal(unseal(secret, name, sealed), text.toWellFormed());
      assert.equal(unseal(`${secret}x`, name, sealed), null);
      assert.equal(unseal(secret, `${name}x`, sealed), null);
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(place % changed.length) ^ 1, place % changed.length);
      assert.equal(unseal(secret, name, changed), null);
      assert.equal(unseal(secret, name, sealed.subarray(0, place % sealed.length)), null);
    }),
  );
});
