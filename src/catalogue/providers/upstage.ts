import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const upstage: ProviderEntry = {
  id: 'upstage',
  name: 'Upstage',
  dialect: 'openai',
  baseUrl: 'https://api.upstage.ai/v1/solar',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'upstage/solar-pro4',
      upstream: 'solar-pro4',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.06' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'upstage/solar-pro-3',
      upstream: 'solar-pro3',
      prices: { input: '0.25', output: '0.25' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
