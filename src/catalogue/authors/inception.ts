import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const inception: AuthorEntry = {
  id: 'inception',
  name: 'Inception',
  models: [
    {
      name: 'mercury-2.5',
      title: 'Mercury 2.5',
      released: '2026-09-08',
      contextLength: 260_000,
      maxOutputTokens: 65_536,
      reasoning: true,
      parameters,
    },
    {
      name: 'mercury-2',
      title: 'Mercury 2',
      released: '2026-03-04',
      contextLength: 128_000,
      maxOutputTokens: 50_000,
      reasoning: true,
      parameters,
    },
  ],
};
