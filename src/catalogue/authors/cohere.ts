import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty max_completion_tokens max_tokens presence_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const cohere: AuthorEntry = {
  id: 'cohere',
  name: 'Cohere',
  models: [
    {
      name: 'command-a-plus',
      title: 'Command A+',
      released: '2026-09-22',
      contextLength: 128_000,
      maxOutputTokens: 64_000,
      input: ['image'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning max_completion_tokens max_tokens presence_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
      aliases: ['cohere/command-a-plus-05-2026'],
    },
    {
      name: 'command-a-translate-08-2025',
      title: 'Command A Translate',
      released: '2025-08-28',
      contextLength: 8_000,
      maxOutputTokens: 8_000,
      parameters,
    },
    {
      name: 'command-a-reasoning-08-2025',
      title: 'Command A Reasoning',
      released: '2025-08-21',
      contextLength: 256_000,
      maxOutputTokens: 32_000,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning max_completion_tokens max_tokens presence_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
    },
    {
      name: 'command-a-vision-07-2025',
      title: 'Command A Vision',
      released: '2025-07-31',
      contextLength: 128_000,
      maxOutputTokens: 8_000,
      input: ['image'],
      parameters:
        'frequency_penalty max_completion_tokens max_tokens presence_penalty seed stop stream stream_options temperature top_k top_p',
    },
    {
      name: 'command-a',
      title: 'Command A',
      released: '2025-03-13',
      contextLength: 256_000,
      maxOutputTokens: 8_000,
      parameters,
      aliases: ['cohere/command-a-03-2025'],
    },
    {
      name: 'command-r7b-arabic-02-2025',
      title: 'Command R7B Arabic',
      released: '2025-02-27',
      contextLength: 128_000,
      maxOutputTokens: 4_000,
      parameters,
    },
    {
      name: 'command-r7b-12-2024',
      title: 'Command R7B',
      released: '2024-12-02',
      contextLength: 128_000,
      maxOutputTokens: 4_000,
      parameters,
    },
    {
      name: 'command-r-08-2024',
      title: 'Command R',
      released: '2024-08-30',
      contextLength: 128_000,
      maxOutputTokens: 4_000,
      parameters,
    },
    {
      name: 'command-r-plus-08-2024',
      title: 'Command R+',
      released: '2024-08-30',
      contextLength: 128_000,
      maxOutputTokens: 4_000,
      parameters,
    },
  ],
};
