import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const qwen: AuthorEntry = {
  id: 'qwen',
  name: 'Alibaba (Qwen)',
  models: [
    {
      name: 'qwen3.8-max',
      title: 'Qwen3.8 Max',
      released: '2026-08-03',
      contextLength: 1_000_000,
      maxOutputTokens: 131_072,
      input: ['image', 'file', 'video'],
      reasoning: true,
      parameters,
    },
    {
      name: 'qwen3.8-27b',
      title: 'Qwen3.8 27B',
      released: '2026-08-14',
      contextLength: 131_042,
      maxOutputTokens: 16_384,
      input: ['image'],
      reasoning: true,
      parameters,
    },
  ],
};
