import type { ProviderEntry } from '../entry.ts';

export const xai: ProviderEntry = {
  id: 'xai',
  name: 'xAI',
  dialect: 'openai',
  baseUrl: 'https://api.x.ai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'either',
  completionExcludesReasoning: true,
  offers: [
    {
      model: 'x-ai/grok-4.7',
      upstream: 'grok-4.7',
      prices: { input: '2', output: '6', cachedInput: '0.5' },
      tiers: [{ aboveInputTokens: 200_000, input: '4', output: '12', cachedInput: '1' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
