import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

/** The fee of a request is that of the smallest search context, which is all that can be asked for here. */
export const perplexity: ProviderEntry = {
  id: 'perplexity',
  name: 'Perplexity',
  dialect: 'openai',
  baseUrl: 'https://api.perplexity.ai',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'tools', 'tool_choice', 'parallel_tool_calls', 'n', 'logit_bias'],
    alternatingRoles: true,
  },
  offers: [
    {
      model: 'perplexity/sonar-reasoning-pro',
      upstream: 'sonar-reasoning-pro',
      prices: { input: '2', output: '8', request: '0.006' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'perplexity/sonar',
      upstream: 'sonar',
      prices: { input: '1', output: '1', request: '0.005' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
    {
      model: 'perplexity/sonar-pro',
      upstream: 'sonar-pro',
      prices: { input: '3', output: '15', request: '0.006' },
      source: 'mdev',
      asOf: '2026-07-02',
    },
  ],
};
