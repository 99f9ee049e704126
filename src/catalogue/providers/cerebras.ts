import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const cerebras: ProviderEntry = {
  id: 'cerebras',
  name: 'Cerebras',
  dialect: 'openai',
  baseUrl: 'https://api.cerebras.ai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'frequency_penalty', 'presence_penalty', 'logit_bias'],
    strictMessages: true,
    reasoningMember: 'reasoning',
  },
  offers: [
    {
      model: 'openai/gpt-oss-120b',
      upstream: 'gpt-oss-120b',
      prices: { input: '0.35', output: '0.75', cachedInput: '0.35' },
      maxOutputTokens: 40_960,
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'qwen/qwen3.8-27b',
      upstream: 'qwen-3.8-27b',
      prices: { input: '0.99', output: '1.49', cachedInput: '0.99' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
