import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const nousresearch: AuthorEntry = {
  id: 'nousresearch',
  name: 'Nous Research',
  models: [
    {
      name: 'hermes-4-405b',
      title: 'Hermes-4-405B',
      released: '2026-01-30',
      contextLength: 131_072,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters,
    },
    {
      name: 'hermes-4-70b',
      title: 'Hermes-4-70B',
      released: '2026-01-30',
      contextLength: 128_000,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters,
    },
  ],
};
