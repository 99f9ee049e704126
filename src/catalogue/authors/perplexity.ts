import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty max_completion_tokens max_tokens presence_penalty response_format stream stream_options temperature top_k top_p';

export const perplexity: AuthorEntry = {
  id: 'perplexity',
  name: 'Perplexity',
  models: [
    {
      name: 'sonar-reasoning-pro',
      title: 'Sonar Reasoning Pro',
      released: '2025-01-29',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      input: ['image'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning max_completion_tokens max_tokens presence_penalty response_format stream stream_options temperature top_k top_p',
    },
    {
      name: 'sonar',
      title: 'Sonar',
      released: '2025-01-21',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      parameters,
    },
    {
      name: 'sonar-pro',
      title: 'Sonar Pro',
      released: '2025-01-21',
      contextLength: 200_000,
      maxOutputTokens: 8_192,
      input: ['image'],
      parameters,
    },
  ],
};
