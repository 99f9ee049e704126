import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

/** Bills by time of day; these are its peak prices. */
export const deepseek: ProviderEntry = {
  id: 'deepseek',
  name: 'DeepSeek',
  dialect: 'openai',
  baseUrl: 'https://api.deepseek.com',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'n', 'logit_bias', 'parallel_tool_calls'],
    reasoning: {
      on: { thinking: { type: 'enabled' } },
      off: { thinking: { type: 'disabled' } },
      effort: true,
    },
  },
  offers: [
    {
      model: 'deepseek/deepseek-v4.1-flash',
      upstream: 'deepseek-flash',
      prices: { input: '0.3', output: '1.2', cachedInput: '0.006' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'deepseek/deepseek-v4-pro',
      upstream: 'deepseek-v4-pro',
      prices: { input: '1.32', output: '3.96', cachedInput: '0.044' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
