import type { ProviderEntry } from '../entry.ts';

/** Through its OpenAI-compatible endpoint. */
export const anthropic: ProviderEntry = {
  id: 'anthropic',
  name: 'Anthropic',
  dialect: 'openai',
  baseUrl: 'https://api.anthropic.com/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'anthropic/claude-3-5-sonnet',
      upstream: 'claude-3-5-sonnet-20241022',
      prices: {
        input: '3',
        output: '15',
        cachedInput: '0.3',
        cacheWrite: '3.75',
        cacheWrite1h: '6',
      },
      source: 'vendor',
      asOf: '2026-11-23',
    },
    {
      model: 'anthropic/claude-opus-5.5',
      upstream: 'claude-opus-5-5',
      prices: { input: '4', output: '20', cachedInput: '0.2', cacheWrite: '5', cacheWrite1h: '8' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'anthropic/claude-sonnet-5.5',
      upstream: 'claude-sonnet-5-5',
      prices: {
        input: '2',
        output: '10',
        cachedInput: '0.1',
        cacheWrite: '2.5',
        cacheWrite1h: '4',
      },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'anthropic/claude-haiku-5.5',
      upstream: 'claude-haiku-5-5',
      prices: {
        input: '0.1',
        output: '0.5',
        cachedInput: '0.01',
        cacheWrite: '0.125',
        cacheWrite1h: '0.2',
      },
      tiers: [
        {
          aboveInputTokens: 100_000,
          input: '0.5',
          output: '2.5',
          cachedInput: '0.05',
          cacheWrite: '0.625',
          cacheWrite1h: '1',
        },
      ],
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
