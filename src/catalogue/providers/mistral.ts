import type { ProviderEntry } from '../entry.ts';

export const mistral: ProviderEntry = {
  id: 'mistral',
  name: 'Mistral',
  dialect: 'openai',
  baseUrl: 'https://api.mistral.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'mistralai/mistral-large-4-0',
      upstream: 'mistral-large-4',
      prices: { input: '0.7', output: '2.1', cachedInput: '0.07' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'mistralai/mistral-small-2603',
      upstream: 'mistral-small-2603',
      prices: { input: '0.15', output: '0.6', cachedInput: '0.015' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
