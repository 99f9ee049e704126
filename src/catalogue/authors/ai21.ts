import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty logit_bias max_completion_tokens max_tokens min_p presence_penalty repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const ai21: AuthorEntry = {
  id: 'ai21',
  name: 'AI21',
  models: [
    {
      name: 'jamba-mini',
      title: 'Jamba Mini',
      released: '2026-01-01',
      contextLength: 256_000,
      maxOutputTokens: 4_096,
      parameters,
    },
    {
      name: 'jamba-large',
      title: 'Jamba Large',
      released: '2025-07-01',
      contextLength: 256_000,
      maxOutputTokens: 4_096,
      parameters,
    },
  ],
};
