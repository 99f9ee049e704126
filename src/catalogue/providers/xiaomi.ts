import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const xiaomi: ProviderEntry = {
  id: 'xiaomi',
  name: 'Xiaomi MiMo',
  dialect: 'openai',
  baseUrl: 'https://api.xiaomimimo.com/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'xiaomi/mimo-v2.6-flash',
      upstream: 'mimo-v2.6-flash',
      prices: { input: '0.14', output: '0.28', cachedInput: '0.0028' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'xiaomi/mimo-v2.6-pro',
      upstream: 'mimo-v2.6-pro',
      prices: { input: '0.435', output: '0.87', cachedInput: '0.0036' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'xiaomi/mimo-v2.6-pro-ultraspeed',
      upstream: 'mimo-v2.6-pro-ultraspeed',
      prices: { input: '4.35', output: '8.7', cachedInput: '0.036' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
