import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const tencent: AuthorEntry = {
  id: 'tencent',
  name: 'Tencent',
  models: [
    {
      name: 'hy3',
      title: 'Hy3',
      released: '2026-07-06',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      reasoning: true,
      parameters,
    },
    {
      name: 'hy3-preview',
      title: 'Hy3 preview',
      released: '2026-04-20',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      reasoning: true,
      parameters,
    },
  ],
};
