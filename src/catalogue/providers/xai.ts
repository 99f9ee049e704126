import { openaiOnly } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const xai: ProviderEntry = {
  id: 'xai',
  name: 'xAI',
  dialect: 'openai',
  baseUrl: 'https://api.x.ai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'either',
  completionExcludesReasoning: true,
  quirks: {
    lacks: [...openaiOnly, 'frequency_penalty', 'presence_penalty', 'logit_bias', 'stop'],
    customTools: false,
    reasoningMember: 'reasoning_content',
  },
  offers: [
    {
      model: 'x-ai/grok-4.7',
      upstream: 'grok-4.7',
      prices: { input: '2', output: '6', cachedInput: '0.5' },
      tiers: [{ aboveInputTokens: 200_000, input: '4', output: '12', cachedInput: '1' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'x-ai/grok-4.6',
      upstream: 'grok-4.6',
      prices: { input: '2', output: '6', cachedInput: '0.5' },
      tiers: [{ aboveInputTokens: 200_000, input: '4', output: '12', cachedInput: '1' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'x-ai/grok-4.5',
      upstream: 'grok-4.5',
      prices: { input: '2', output: '6', cachedInput: '0.3' },
      tiers: [{ aboveInputTokens: 200_000, input: '4', output: '12', cachedInput: '0.6' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'x-ai/grok-4.3',
      upstream: 'grok-4.3',
      prices: { input: '1.25', output: '2.5', cachedInput: '0.2' },
      tiers: [{ aboveInputTokens: 200_000, input: '2.5', output: '5', cachedInput: '0.4' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'x-ai/grok-build-0.1',
      upstream: 'grok-build-0.1',
      prices: { input: '1', output: '2', cachedInput: '0.2' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
