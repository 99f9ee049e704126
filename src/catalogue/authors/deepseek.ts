import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias logprobs max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty reasoning repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_logprobs top_p';

export const deepseek: AuthorEntry = {
  id: 'deepseek',
  name: 'DeepSeek',
  models: [
    {
      name: 'deepseek-v4.1-flash',
      title: 'DeepSeek V4.1 Flash',
      released: '2026-09-10',
      contextLength: 1_000_000,
      maxOutputTokens: 384_000,
      input: ['image'],
      reasoning: true,
      parameters,
      aliases: ['deepseek/deepseek-flash'],
    },
    {
      name: 'deepseek-v4-pro',
      title: 'DeepSeek V4 Pro',
      released: '2026-04-24',
      contextLength: 1_000_000,
      maxOutputTokens: 384_000,
      reasoning: true,
      parameters,
    },
  ],
};
