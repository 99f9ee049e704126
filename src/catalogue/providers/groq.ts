import type { ProviderEntry } from '../entry.ts';

export const groq: ProviderEntry = {
  id: 'groq',
  name: 'Groq',
  dialect: 'openai',
  baseUrl: 'https://api.groq.com/openai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'openai/gpt-oss-120b',
      upstream: 'openai/gpt-oss-120b',
      prices: { input: '0.15', output: '0.6', cachedInput: '0.075' },
      maxOutputTokens: 65_536,
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta-llama/llama-3.3-70b-instruct',
      upstream: 'llama-3.3-70b-versatile',
      prices: { input: '0.59', output: '0.79' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'qwen/qwen3.8-27b',
      upstream: 'qwen/qwen3.8-27b',
      prices: { input: '0.8', output: '4' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
