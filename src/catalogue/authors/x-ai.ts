import type { AuthorEntry } from '../entry.ts';

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
      parameters:
        'include_reasoning logprobs max_completion_tokens max_tokens n parallel_tool_calls reasoning_effort response_format seed stream stream_options structured_outputs temperature tool_choice tools top_logprobs top_p',
    },
  ],
};
