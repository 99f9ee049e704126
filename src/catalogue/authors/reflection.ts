import type { AuthorEntry } from '../entry.ts';

export const reflection: AuthorEntry = {
  id: 'reflection',
  name: 'Reflection AI',
  models: [
    {
      name: 'beam-1.0-501b-a23b',
      title: 'Beam 1.0 501B A23B',
      released: '2026-10-20',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
    },
  ],
};
