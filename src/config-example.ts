/** Writes .env.example and docs/settings.md (`npm run env`) from the table of settings and the catalogue's providers. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { providers } from './catalogue/catalogue.ts';
import { providerVariables, settings } from './config.ts';
import { settingsFile, settingsPage } from './settings-page.ts';

export const exampleFile = fileURLToPath(new URL('../.env.example', import.meta.url));

const width = 110;

/** A comment of lines that are not too long. */
function comment(sentence: string): string {
  const lines: string[] = [];
  for (const word of sentence.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`# ${word}`);
  }
  return lines.join('\n');
}

/** The text of .env.example: every variable with its sentence, commented out at its default. */
export function configExample(): string {
  const general = Object.values(settings).map(
    ({ variable, fallback, sentence }) => `${comment(sentence)}\n#${variable}=${fallback}\n`,
  );
  const own = [...providers.values()].map((provider) => ({
    ...providerVariables(provider.id),
    address: provider.baseUrl,
  }));
  const head = comment(
    'Every setting at its default. Copy this file to .env and change what you need. Made by npm run env: do not edit.',
  );
  const keys = comment(
    'Providers: a key or a base URL makes the provider real. A sandbox with a real provider has no demo key and serves this machine only.',
  );
  const keyLines = own.map(({ apiKey }) => `#${apiKey}=`).join('\n');
  const addresses = comment(
    'A base URL sends the requests of its provider elsewhere, which may be on this machine. Where the default has braces, a provider with a key is asked only once its base URL is set without them.',
  );
  const addressLines = own.map(({ baseUrl, address }) => `#${baseUrl}=${address}`).join('\n');
  return `${head}\n\n${general.join('\n')}\n${keys}\n${keyLines}\n\n${addresses}\n${addressLines}\n`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(exampleFile, configExample());
  writeFileSync(settingsFile, settingsPage());
}
