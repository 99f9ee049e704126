import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const groq: ProviderEntry = {
  id: 'groq',
  name: 'Groq',
  dialect: 'openai',
  baseUrl: 'https://api.groq.com/openai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'n', 'logprobs', 'top_logprobs', 'logit_bias'],
    strictMessages: true,
    reasoningMember: 'reasoning',
    // The first is what the model did; with the other it refuses with a 413 what exceeds the tokens of a minute.
    errors: { tool_use_failed: 'failed', rate_limit_exceeded: 'rate' },
  },
  offers: [
    {
      model: 'openai/gpt-oss-safeguard-20b',
      upstream: 'openai/gpt-oss-safeguard-20b',
      prices: { input: '0.075', output: '0.3', cachedInput: '0.0375' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'openai/gpt-oss-120b',
      upstream: 'openai/gpt-oss-120b',
      prices: { input: '0.15', output: '0.6', cachedInput: '0.075' },
      maxOutputTokens: 65_536,
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'openai/gpt-oss-20b',
      upstream: 'openai/gpt-oss-20b',
      prices: { input: '0.075', output: '0.3', cachedInput: '0.0375' },
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
      model: 'meta-llama/llama-3.1-8b-instruct',
      upstream: 'llama-3.1-8b-instant',
      prices: { input: '0.05', output: '0.08' },
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
    {
      model: 'qwen/qwen3.6-27b',
      upstream: 'qwen/qwen3.6-27b',
      prices: { input: '0.6', output: '3', cachedInput: '0.3' },
      contextLength: 131_072,
      maxOutputTokens: 16_384,
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
