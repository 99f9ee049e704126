import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const minimax: ProviderEntry = {
  id: 'minimax',
  name: 'MiniMax',
  dialect: 'openai',
  baseUrl: 'https://api.minimax.io/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'n'],
    temperature: [0.01, 1],
  },
  offers: [
    {
      model: 'minimax/minimax-m3.1-flash',
      upstream: 'MiniMax-M3.1-Flash',
      prices: { input: '0.15', output: '0.6', cachedInput: '0.015' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'minimax/minimax-m3',
      upstream: 'MiniMax-M3',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.06' },
      tiers: [{ aboveInputTokens: 512_000, input: '0.6', output: '2.4', cachedInput: '0.12' }],
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'minimax/minimax-m2.7',
      upstream: 'MiniMax-M2.7',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.06', cacheWrite: '0.375' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'minimax/minimax-m2.7-highspeed',
      upstream: 'MiniMax-M2.7-highspeed',
      prices: { input: '0.6', output: '2.4', cachedInput: '0.06', cacheWrite: '0.375' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
