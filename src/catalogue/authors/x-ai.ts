import type { AuthorEntry } from '../entry.ts';

const parameters =
  'include_reasoning logprobs max_completion_tokens max_tokens n parallel_tool_calls reasoning_effort response_format seed stream stream_options structured_outputs temperature tool_choice tools top_logprobs top_p';

export const xAi: AuthorEntry = {
  id: 'x-ai',
  name: 'xAI',
  models: [
    {
      name: 'grok-4.7',
      title: 'Grok 4.7',
      released: '2026-09-21',
      contextLength: 500_000,
      maxOutputTokens: 500_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'grok-4.6',
      title: 'Grok 4.6',
      released: '2026-08-12',
      contextLength: 500_000,
      maxOutputTokens: 500_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'grok-4.5',
      title: 'Grok 4.5',
      released: '2026-07-08',
      contextLength: 500_000,
      maxOutputTokens: 500_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'grok-4.3',
      title: 'Grok 4.3',
      released: '2026-04-17',
      contextLength: 1_000_000,
      maxOutputTokens: 30_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'grok-4.20',
      title: 'Grok 4.20',
      released: '2026-03-31',
      contextLength: 1_000_000,
      maxOutputTokens: 30_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'grok-4.20-non-reasoning',
      title: 'Grok 4.20 (Non-Reasoning)',
      released: '2026-03-09',
      contextLength: 1_000_000,
      maxOutputTokens: 30_000,
      input: ['image', 'file'],
      parameters:
        'frequency_penalty logprobs max_completion_tokens max_tokens n parallel_tool_calls presence_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_logprobs top_p',
    },
    {
      name: 'grok-build-0.1',
      title: 'Grok Build 0.1',
      released: '2026-04-16',
      contextLength: 256_000,
      maxOutputTokens: 256_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
  ],
};
