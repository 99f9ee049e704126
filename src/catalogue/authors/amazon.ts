import type { AuthorEntry } from '../entry.ts';

/** What Converse has a word for. */
const parameters =
  'max_completion_tokens max_tokens response_format stop stream stream_options temperature tool_choice tools top_p';

export const amazon: AuthorEntry = {
  id: 'amazon',
  name: 'Amazon',
  models: [
    {
      name: 'nova-2-lite-v1',
      title: 'Nova 2 Lite',
      released: '2025-12-02',
      contextLength: 1_000_000,
      maxOutputTokens: 65_535,
      input: ['image', 'file', 'video'],
      reasoning: true,
      parameters: `include_reasoning reasoning_effort ${parameters}`,
      aliases: ['amazon/global.amazon.nova-2-lite-v1:0'],
    },
    {
      name: 'nova-premier-v1',
      title: 'Nova Premier 1.0',
      released: '2025-10-31',
      contextLength: 1_000_000,
      maxOutputTokens: 10_000,
      input: ['image'],
      parameters,
      aliases: ['amazon/us.amazon.nova-premier-v1:0'],
    },
    {
      name: 'nova-lite-v1',
      title: 'Nova Lite 1.0',
      released: '2024-12-05',
      contextLength: 300_000,
      maxOutputTokens: 10_000,
      input: ['image', 'file', 'video'],
      parameters,
      aliases: ['amazon/amazon.nova-lite-v1:0'],
    },
    {
      name: 'nova-micro-v1',
      title: 'Nova Micro 1.0',
      released: '2024-12-05',
      contextLength: 128_000,
      maxOutputTokens: 10_000,
      parameters,
      aliases: ['amazon/amazon.nova-micro-v1:0'],
    },
    {
      name: 'nova-pro-v1',
      title: 'Nova Pro 1.0',
      released: '2024-12-05',
      contextLength: 300_000,
      maxOutputTokens: 10_000,
      input: ['image', 'file', 'video'],
      parameters,
      aliases: ['amazon/amazon.nova-pro-v1:0'],
    },
  ],
};
