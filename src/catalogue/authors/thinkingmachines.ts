import type { AuthorEntry } from '../entry.ts';

export const thinkingmachines: AuthorEntry = {
  id: 'thinkingmachines',
  name: 'Thinking Machines',
  models: [
    {
      name: 'inkling',
      title: 'Inkling',
      released: '2026-07-15',
      contextLength: 524_288,
      maxOutputTokens: 131_072,
      input: ['image', 'audio'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
    },
  ],
};
