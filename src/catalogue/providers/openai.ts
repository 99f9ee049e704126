import type { ProviderEntry } from '../entry.ts';

export const openai: ProviderEntry = {
  id: 'openai',
  name: 'OpenAI',
  dialect: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'openai/gpt-4o-mini',
      upstream: 'gpt-4o-mini',
      prices: { input: '0.15', output: '0.6', cachedInput: '0.075' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'openai/gpt-4o',
      upstream: 'gpt-4o',
      prices: { input: '2.5', output: '10', cachedInput: '1.25' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'openai/gpt-6.1-sol',
      upstream: 'gpt-6.1-sol',
      prices: { input: '2', output: '10', cachedInput: '0.1', cacheWrite: '2.5' },
      tiers: [
        {
          aboveInputTokens: 272_000,
          input: '4',
          output: '15',
          cachedInput: '0.2',
          cacheWrite: '5',
        },
      ],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'openai/gpt-6-luna',
      upstream: 'gpt-6-luna',
      prices: { input: '0.1', output: '0.5', cachedInput: '0.01', cacheWrite: '0.125' },
      tiers: [
        {
          aboveInputTokens: 272_000,
          input: '0.2',
          output: '0.75',
          cachedInput: '0.02',
          cacheWrite: '0.25',
        },
      ],
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
