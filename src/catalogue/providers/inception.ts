import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const inception: ProviderEntry = {
  id: 'inception',
  name: 'Inception',
  dialect: 'openai',
  baseUrl: 'https://api.inceptionlabs.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'inception/mercury-2.5',
      upstream: 'mercury-2.5',
      prices: { input: '0.04', output: '0.15', cachedInput: '0.004' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'inception/mercury-2',
      upstream: 'mercury-2',
      prices: { input: '0.25', output: '0.75', cachedInput: '0.025' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
