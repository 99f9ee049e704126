import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

export const moonshot: ProviderEntry = {
  id: 'moonshot',
  name: 'Moonshot AI',
  dialect: 'openai',
  baseUrl: 'https://api.moonshot.ai/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    // Of the models on offer the temperature is fixed.
    lacks: [...openaiOnly, 'temperature'],
    toolChoices: ['none', 'named'],
    reasoning: { on: { thinking: { type: 'enabled' } }, off: { thinking: { type: 'disabled' } } },
    errors: {
      exceeded_current_quota_error: 'key',
      rate_limit_reached_error: 'rate',
      engine_overloaded_error: 'failed',
    },
  },
  offers: [
    {
      model: 'moonshotai/kimi-k3.1-pro',
      upstream: 'kimi-k3.1-pro',
      prices: { input: '2', output: '10', cachedInput: '0.2' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'moonshotai/kimi-k3.1-pro-highspeed',
      upstream: 'kimi-k3.1-pro-highspeed',
      prices: { input: '4', output: '20', cachedInput: '0.2' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'moonshotai/kimi-k3',
      upstream: 'kimi-k3',
      prices: { input: '3', output: '15', cachedInput: '0.3' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'moonshotai/kimi-k2.7-code',
      upstream: 'kimi-k2.7-code',
      prices: { input: '0.95', output: '4', cachedInput: '0.19' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'moonshotai/kimi-k2.7-code-highspeed',
      upstream: 'kimi-k2.7-code-highspeed',
      prices: { input: '1.9', output: '8', cachedInput: '0.38' },
      source: 'pi',
      asOf: '2026-11-10',
    },
    {
      model: 'moonshotai/kimi-k2.6',
      upstream: 'kimi-k2.6',
      prices: { input: '0.95', output: '4', cachedInput: '0.16' },
      source: 'pi',
      asOf: '2026-11-10',
    },
  ],
};
