import type { ProviderEntry } from '../entry.ts';

export const alibaba: ProviderEntry = {
  id: 'alibaba',
  name: 'Alibaba Model Studio (DashScope)',
  dialect: 'openai',
  baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  offers: [
    {
      model: 'qwen/qwen3.8-max',
      upstream: 'qwen3.8-max',
      prices: { input: '2', output: '6', cachedInput: '0.25', cacheWrite: '2.5' },
      source: 'cline',
      asOf: '2026-09-27',
    },
  ],
};
