import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const stepfun: ProviderEntry = {
  id: 'stepfun',
  name: 'StepFun',
  dialect: 'openai',
  baseUrl: 'https://api.stepfun.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [
    {
      model: 'stepfun/step-5-preview',
      upstream: 'step-5-preview',
      prices: { input: '1', output: '2.7', cachedInput: '0.05' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'stepfun/step-3.7-flash',
      upstream: 'step-3.7-flash',
      prices: { input: '0.185', output: '1.11', cachedInput: '0.037' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'stepfun/step-3.5-flash',
      upstream: 'step-3.5-flash',
      prices: { input: '0.1', output: '0.3', cachedInput: '0.02' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
