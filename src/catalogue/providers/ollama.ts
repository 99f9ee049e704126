import { openaiOnly, usualQuirks } from '../../dialects/quirks.ts';
import type { ProviderEntry } from '../entry.ts';

/** Runs on a machine of the operator's, who says which models it has and what they cost: `OWN_MODELS`. Takes no notice of what it does not know. */
export const ollama: ProviderEntry = {
  id: 'ollama',
  name: 'Ollama',
  dialect: 'openai',
  baseUrl: 'http://{host}:11434/v1',
  tokenLimitField: 'max_tokens',
  cacheCounted: 'inside',
  quirks: {
    ...usualQuirks,
    lacks: [...openaiOnly, 'n', 'logit_bias', 'parallel_tool_calls'],
    toolChoices: [],
    reasoningMember: 'reasoning',
  },
  offers: [],
};
