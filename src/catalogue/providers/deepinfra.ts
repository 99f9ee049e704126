import type { ProviderEntry } from '../entry.ts';

export const deepinfra: ProviderEntry = {
  id: 'deepinfra',
  name: 'DeepInfra',
  dialect: 'openai',
  baseUrl: 'https://api.deepinfra.com/v1/openai',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'openai/gpt-oss-120b',
      upstream: 'openai/gpt-oss-120b',
      prices: { input: '0.039', output: '0.19' },
      maxOutputTokens: 16_384,
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'meta-llama/llama-3.3-70b-instruct',
      upstream: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
      prices: { input: '0.1', output: '0.32' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'deepseek/deepseek-v4-pro',
      upstream: 'deepseek-ai/DeepSeek-V4-Pro',
      prices: { input: '1.3', output: '2.6', cachedInput: '0.1' },
      maxOutputTokens: 16_384,
      source: 'mdev',
      asOf: '2026-07-02',
    },
  ],
};
