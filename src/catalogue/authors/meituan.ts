import type { AuthorEntry } from '../entry.ts';

export const meituan: AuthorEntry = {
  id: 'meituan',
  name: 'Meituan',
  models: [
    {
      name: 'longcat-2.0',
      title: 'LongCat 2.0',
      released: '2026-07-20',
      contextLength: 1_049_000,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
    },
  ],
};
