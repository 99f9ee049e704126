import type { ProviderEntry } from '../entry.ts';

export const meta: ProviderEntry = {
  id: 'meta',
  name: 'Meta Model API',
  dialect: 'openai',
  baseUrl: 'https://api.meta.ai/v1',
  tokenLimitField: 'max_completion_tokens',
  cacheCounted: 'inside',
  // As OpenAI, but its reasoning is seen.
  quirks: {},
  offers: [
    {
      model: 'meta/muse-ember',
      upstream: 'muse-ember-1.0',
      prices: { input: '0.1', output: '0.5', cachedInput: '0.004' },
      tiers: [{ aboveInputTokens: 200_000, input: '0.3', output: '1.5', cachedInput: '0.012' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-wonder',
      upstream: 'muse-wonder-1.0',
      prices: { input: '4', output: '20', cachedInput: '0.2' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-spark-1.3',
      upstream: 'muse-spark-1.3',
      prices: { input: '1.25', output: '4.25', cachedInput: '0.15' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-spark-1.3-contributor',
      upstream: 'muse-spark-1.3-contributor',
      prices: { input: '0.1', output: '0.2', cachedInput: '0.002' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-spark-1.2-contributor',
      upstream: 'muse-spark-1.2-contributor',
      prices: { input: '0.1', output: '0.2', cachedInput: '0.002' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-spark-1.2',
      upstream: 'muse-spark-1.2',
      prices: { input: '1.25', output: '4.25', cachedInput: '0.15' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'meta/muse-spark-1.1',
      upstream: 'muse-spark-1.1',
      prices: { input: '1.25', output: '4.25', cachedInput: '0.15' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
