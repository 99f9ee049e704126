import type { AuthorEntry } from '../entry.ts';

const parameters =
  'max_completion_tokens max_tokens response_format stop stream stream_options temperature tool_choice tools top_p';

export const writer: AuthorEntry = {
  id: 'writer',
  name: 'Writer',
  models: [
    {
      name: 'palmyra-x5',
      title: 'Palmyra X5',
      released: '2025-04-28',
      contextLength: 1_040_000,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters,
    },
    {
      name: 'palmyra-x4',
      title: 'Palmyra X4',
      released: '2024-10-09',
      contextLength: 122_880,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters,
    },
  ],
};
