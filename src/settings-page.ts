/** The documentation's page of settings, made from the same table as .env.example. */
import { fileURLToPath } from 'node:url';
import { providers } from './catalogue/catalogue.ts';
import { providerVariables, settings } from './config.ts';

export const settingsFile = fileURLToPath(new URL('../docs/settings.md', import.meta.url));

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The text of docs/settings.md. */
export function settingsPage(): string {
  const general = Object.values(settings).map(({ variable, fallback, sentence }) =>
    row(`\`${variable}\``, fallback === '' ? '' : `\`${fallback}\``, sentence),
  );
  const access = [...providers.values()].map(({ id, name, baseUrl }) => {
    const variables = providerVariables(id);
    return row(name, `\`${variables.apiKey}\``, `\`${variables.baseUrl}\``, `\`${baseUrl}\``);
  });
  return `# Settings

Environment variables, or lines in a file \`.env\` in the checkout; a variable that is set already wins over the file.
\`.env.example\` holds all of them at their defaults. A value that cannot be used stops the start with a sentence.

| Variable | Default | Meaning |
| --- | --- | --- |
${general.join('\n')}

## Providers

A key or a base URL makes the provider real; without any a sandbox installation answers by itself. A base URL sends the
provider's requests elsewhere, to a machine of your own too. Where the default has braces, only you know that part: the provider
is asked once its base URL is set without them. A sandbox with a real provider has no demo key, and serves this machine only.

| Provider | Key | Base URL | Its default |
| --- | --- | --- | --- |
${access.join('\n')}

<!-- Made by npm run env: do not edit. -->
`;
}
