import type { ProviderEntry } from '../entry.ts';

export const google: ProviderEntry = {
  id: 'google',
  name: 'Google Gemini API',
  dialect: 'gemini',
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'google/gemini-3.8-flash',
      upstream: 'gemini-3.8-flash',
      prices: { input: '0.75', output: '3.75', cachedInput: '0.075' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'google/gemini-3.5-flash-lite',
      upstream: 'gemini-3.5-flash-lite',
      prices: { input: '0.3', output: '2.5', cachedInput: '0.03' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'google/gemini-3.1-pro-preview',
      upstream: 'gemini-3.1-pro-preview',
      prices: { input: '2', output: '12', cachedInput: '0.2' },
      tiers: [{ aboveInputTokens: 200_000, input: '4', output: '18', cachedInput: '0.4' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
