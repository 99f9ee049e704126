import type { AuthorEntry } from '../entry.ts';

export const arceeAi: AuthorEntry = {
  id: 'arcee-ai',
  name: 'Arcee AI',
  models: [
    {
      name: 'trinity-large-thinking',
      title: 'Trinity Large Thinking',
      released: '2026-04-01',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
    },
  ],
};
