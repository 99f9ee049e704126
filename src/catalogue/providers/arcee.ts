import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const arcee: ProviderEntry = {
  id: 'arcee',
  name: 'Arcee AI',
  dialect: 'openai',
  baseUrl: 'https://api.arcee.ai/api/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'arcee-ai/trinity-large-thinking',
      upstream: 'trinity-large-thinking',
      prices: { input: '0.25', output: '0.8', cachedInput: '0.06' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
