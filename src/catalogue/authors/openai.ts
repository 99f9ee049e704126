import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty logit_bias logprobs max_completion_tokens max_tokens metadata n parallel_tool_calls prediction presence_penalty prompt_cache_key response_format safety_identifier seed service_tier stop store stream stream_options structured_outputs temperature tool_choice tools top_logprobs top_p';

export const openai: AuthorEntry = {
  id: 'openai',
  name: 'OpenAI',
  models: [
    {
      name: 'gpt-4o-mini',
      title: 'GPT-4o mini',
      released: '2024-07-18',
      created: 1715644800,
      contextLength: 128_000,
      maxOutputTokens: 16_384,
      input: ['image', 'file'],
      parameters,
      aliases: ['openai/gpt-4o-mini-2024-07-18'],
      sunset: { date: '2027-01-14', replacedBy: 'openai/gpt-6-luna' },
    },
    {
      name: 'gpt-4o',
      title: 'GPT-4o',
      released: '2024-05-13',
      contextLength: 128_000,
      maxOutputTokens: 16_384,
      input: ['image', 'file'],
      parameters,
      sunset: { date: '2027-01-14', replacedBy: 'openai/gpt-6-luna' },
    },
    {
      name: 'gpt-6.1-sol',
      title: 'GPT-6.1 Sol',
      released: '2026-09-29',
      contextLength: 1_050_000,
      maxOutputTokens: 128_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters:
        'max_completion_tokens max_tokens metadata parallel_tool_calls prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier store stream stream_options structured_outputs tool_choice tools verbosity',
    },
    {
      name: 'gpt-6-luna',
      title: 'GPT-6 Luna',
      released: '2026-09-22',
      contextLength: 1_050_000,
      maxOutputTokens: 128_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters:
        'max_completion_tokens max_tokens metadata parallel_tool_calls prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier store stream stream_options structured_outputs temperature tool_choice tools top_p verbosity',
    },
    {
      name: 'gpt-oss-120b',
      title: 'GPT OSS 120B',
      released: '2025-08-05',
      contextLength: 131_072,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters:
        'frequency_penalty logit_bias max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
    },
  ],
};
