import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const sakana: ProviderEntry = {
  id: 'sakana',
  name: 'Sakana AI',
  dialect: 'openai',
  baseUrl: 'https://api.sakana.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'sakana/sakana-namazu',
      upstream: 'sakana-namazu',
      prices: { input: '0.95', output: '4', cachedInput: '0.15' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'sakana/fugu-ultra',
      upstream: 'fugu-ultra',
      prices: { input: '5', output: '30', cachedInput: '0.5' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
