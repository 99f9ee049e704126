import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const zhipu: ProviderEntry = {
  id: 'zhipu',
  name: 'Z.ai / Zhipu',
  dialect: 'openai',
  baseUrl: 'https://api.z.ai/api/paas/v4',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    temperature: [0, 1],
    toolChoices: [],
    streamedTools: { tool_stream: true },
    reasoning: { on: { thinking: { type: 'enabled' } }, off: { thinking: { type: 'disabled' } } },
    errors: { '1113': 'key', '1302': 'rate', '1303': 'rate' },
  },
  offers: [
    {
      model: 'z-ai/glm-5.3-flashx',
      upstream: 'glm-5.3-flashx',
      prices: { input: '0.37', output: '1.25', cachedInput: '0.075' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'z-ai/glm-5.3-flash',
      upstream: 'glm-5.3-flash',
      prices: { input: '0.15', output: '0.5', cachedInput: '0.03' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'z-ai/glm-5.3',
      upstream: 'glm-5.3',
      prices: { input: '1.4', output: '4.4', cachedInput: '0.26' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'z-ai/glm-5.2',
      upstream: 'glm-5.2',
      prices: { input: '1.4', output: '4.4', cachedInput: '0.26' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'z-ai/glm-5-turbo',
      upstream: 'glm-5-turbo',
      prices: { input: '1.2', output: '4', cachedInput: '0.24' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'z-ai/glm-4.7-flashx',
      upstream: 'glm-4.7-flashx',
      prices: { input: '0.07', output: '0.4', cachedInput: '0.01' },
      source: 'cline',
      asOf: '2026-09-27',
    },
    {
      model: 'z-ai/glm-4.7',
      upstream: 'glm-4.7',
      prices: { input: '0.6', output: '2.2', cachedInput: '0.11' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
