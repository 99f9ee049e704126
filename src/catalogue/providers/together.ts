import type { ProviderEntry } from '../entry.ts';

export const together: ProviderEntry = {
  id: 'together',
  name: 'Together AI',
  dialect: 'openai',
  baseUrl: 'https://api.together.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'openai/gpt-oss-120b',
      upstream: 'openai/gpt-oss-120b',
      prices: { input: '0.15', output: '0.6' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'deepseek/deepseek-v4.1-flash',
      upstream: 'deepseek-ai/DeepSeek-V4.1-Flash',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.006' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
