import { usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

/** Runs on a machine of the operator's, who says which models it has and what they cost: `OWN_MODELS`. */
export const vllm: ProviderEntry = {
  id: 'vllm',
  name: 'vLLM',
  dialect: 'openai',
  baseUrl: 'http://{host}:8000/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: usualQuirks,
  offers: [],
};
