import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

/** Through its OpenAI-compatible endpoint. */
export const cohere: ProviderEntry = {
  id: 'cohere',
  name: 'Cohere',
  dialect: 'openai',
  baseUrl: 'https://api.cohere.ai/compatibility/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'n', 'logit_bias', 'parallel_tool_calls'],
  },
  offers: [
    {
      model: 'cohere/command-a-plus',
      upstream: 'command-a-plus-05-2026',
      prices: { input: '0.3', output: '1.5', cachedInput: '0.15' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'cohere/command-a-translate-08-2025',
      upstream: 'command-a-translate-08-2025',
      prices: { input: '2.5', output: '10' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-a-reasoning-08-2025',
      upstream: 'command-a-reasoning-08-2025',
      prices: { input: '2.5', output: '10' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-a-vision-07-2025',
      upstream: 'command-a-vision-07-2025',
      prices: { input: '2.5', output: '10' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-a',
      upstream: 'command-a-03-2025',
      prices: { input: '2.5', output: '10' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-r7b-arabic-02-2025',
      upstream: 'command-r7b-arabic-02-2025',
      prices: { input: '0.0375', output: '0.15' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-r7b-12-2024',
      upstream: 'command-r7b-12-2024',
      prices: { input: '0.0375', output: '0.15' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-r-08-2024',
      upstream: 'command-r-08-2024',
      prices: { input: '0.15', output: '0.6' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'cohere/command-r-plus-08-2024',
      upstream: 'command-r-plus-08-2024',
      prices: { input: '2.5', output: '10' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
  ],
};
