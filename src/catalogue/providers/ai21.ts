import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const ai21: ProviderEntry = {
  id: 'ai21',
  name: 'AI21',
  dialect: 'openai',
  baseUrl: 'https://api.ai21.com/studio/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'ai21/jamba-mini',
      upstream: 'jamba-mini',
      prices: { input: '0.2', output: '0.4' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'ai21/jamba-large',
      upstream: 'jamba-large',
      prices: { input: '2', output: '8' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
