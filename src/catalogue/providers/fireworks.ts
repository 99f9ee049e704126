import type { ProviderEntry } from '../entry.ts';

export const fireworks: ProviderEntry = {
  id: 'fireworks',
  name: 'Fireworks AI',
  dialect: 'openai',
  baseUrl: 'https://api.fireworks.ai/inference/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'deepseek/deepseek-v4.1-flash',
      upstream: 'accounts/fireworks/models/deepseek-v4p1-flash',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.006' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'qwen/qwen3.8-max',
      upstream: 'accounts/fireworks/models/qwen3p8-max',
      prices: { input: '2', output: '6', cachedInput: '0.25' },
      contextLength: 262_144,
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
