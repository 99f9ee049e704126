/** What a server that is ready says to whoever started it. */
import type { Config } from '../config.ts';
import { curlCommand } from './home.ts';

const firstCommands: readonly string[] = [
  'user create --email you@example.com --password "a long password"',
  'wallet credit --email you@example.com --usd 5',
  'key create --email you@example.com --name first',
].map((command) => `npm run -s akai -- ${command}`);

export function announcement(
  config: Config,
  origin: string,
  key: string | null,
): readonly string[] {
  const sandbox = config.mode === 'sandbox' ? '  (SANDBOX: play money, never real payments)' : '';
  const lines = ['', `AK AI CORE is ready at ${origin}${sandbox}`, ''];
  if (key)
    return [
      ...lines,
      'Models and ways to pay that have no key are stand-ins on this machine; "npx akai doctor" says which.',
      `Documentation: ${origin}/docs`,
      '',
      'Try it:',
      '',
      curlCommand(`${origin}/v1`, key),
      '',
    ];
  return [...lines, 'Make an account and a key:', '', ...firstCommands, ''];
}
