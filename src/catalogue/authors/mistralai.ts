import type { AuthorEntry } from '../entry.ts';

export const mistralai: AuthorEntry = {
  id: 'mistralai',
  name: 'Mistral AI',
  models: [
    {
      name: 'mistral-large-4-0',
      title: 'Mistral Large 4',
      released: '2026-10-20',
      contextLength: 1_048_576,
      maxOutputTokens: 262_144,
      input: ['image'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning max_completion_tokens max_tokens n parallel_tool_calls presence_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_p',
      aliases: ['mistralai/mistral-large-4'],
    },
    {
      name: 'mistral-small-2603',
      title: 'Mistral Small 4',
      released: '2026-03-16',
      contextLength: 256_000,
      maxOutputTokens: 256_000,
      input: ['image'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning max_completion_tokens max_tokens n parallel_tool_calls presence_penalty response_format seed stop stream stream_options temperature tool_choice tools top_p',
      aliases: ['mistralai/mistral-small-latest'],
    },
  ],
};
