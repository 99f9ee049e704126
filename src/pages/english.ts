/** What the pages say in English. `texts.test.ts` holds both languages to the same keys and places to fill in. */

export const english = {
  language: 'English',
  otherLanguage: 'বাংলা',
  skip: 'Skip to the content',
  home: 'AK AI CORE, front page',
  navigation: 'Main',
  documentation: 'Documentation',
  tagline: 'Every AI model.\nOne endpoint, one wallet.',
  lead: 'An OpenAI-compatible API, paid by the token from a prepaid wallet. Change the base URL and the key; the rest of your program stays as it is.',
  sandbox: 'Sandbox',
  sandboxClosed:
    'The money here is play money and the models are stand-ins. Nothing leaves this machine and nobody is charged.',
  sandboxOpen:
    'The money here is play money, but calls to these providers are real and their owner pays for them: {providers}.',
  tryIt: 'Try it',
  pasteDemo:
    'Paste this into a terminal. The key belongs to the demo account and has sandbox credit.',
  pasteOwn: 'Put your API key in place of YOUR_API_KEY and paste this into a terminal.',
  makeKey: 'No key yet? Whoever runs this installation makes an account and a key:',
  copy: 'Copy',
  copied: 'Copied',
  command: 'Command',
  baseUrl: 'Base URL',
  baseUrlText: 'Besides the key, all that changes in a program that uses an OpenAI library.',
  models: '{count} models',
  modelsText: 'Their ids, prices and abilities are listed at {path}.',
  charge: 'Paid to the token',
  chargeText: 'Each answer says what it cost. The wallet never goes below zero.',
  readMore: 'Read on',
  pages: 'Pages of the documentation',
  noDocumentation: 'This installation carries no documentation: its docs folder is empty.',
  inEnglish: '',
  missingTitle: 'There is no such page',
  missing:
    'Nothing is kept at {path}. Check the address, or begin again at the front page or in the documentation.',
  brokenTitle: 'Something went wrong here',
  broken: 'The fault is ours and has been logged. Try again; if it stays, tell the operator.',
} as const;

export type Texts = { readonly [K in keyof typeof english]: string };
