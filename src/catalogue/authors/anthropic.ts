import type { AuthorEntry, Constraint } from '../entry.ts';

const parameters =
  'include_reasoning max_completion_tokens max_tokens parallel_tool_calls reasoning reasoning_effort response_format stop stream stream_options structured_outputs tool_choice tools';

const current: readonly Constraint[] = [
  'rejects_sampling_params',
  'rejects_forced_tool_choice',
  'thinking_cannot_be_disabled',
  'rejects_thinking_budget_tokens',
];

export const anthropic: AuthorEntry = {
  id: 'anthropic',
  name: 'Anthropic',
  models: [
    {
      name: 'claude-3-5-sonnet',
      title: 'Claude 3.5 Sonnet',
      released: '2024-06-20',
      created: 1718323200,
      contextLength: 200_000,
      maxOutputTokens: 8_192,
      input: ['image', 'file'],
      parameters:
        'max_completion_tokens max_tokens parallel_tool_calls stop stream stream_options temperature tool_choice tools top_k top_p',
      aliases: [
        'anthropic/claude-3.5-sonnet',
        'anthropic/claude-3-5-sonnet-20240620',
        'anthropic/claude-3-5-sonnet-20241022',
        'anthropic/claude-3-5-sonnet-latest',
      ],
      sunset: { date: '2025-10-28', replacedBy: 'anthropic/claude-sonnet-5.5' },
    },
    {
      name: 'claude-opus-5.5',
      title: 'Claude Opus 5.5',
      released: '2026-09-22',
      contextLength: 1_000_000,
      maxOutputTokens: 128_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
      constraints: current,
      aliases: ['anthropic/claude-opus-5-5'],
    },
    {
      name: 'claude-sonnet-5.5',
      title: 'Claude Sonnet 5.5',
      released: '2026-09-28',
      contextLength: 1_000_000,
      maxOutputTokens: 128_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
      constraints: current,
      aliases: ['anthropic/claude-sonnet-5-5'],
    },
    {
      name: 'claude-haiku-5.5',
      title: 'Claude Haiku 5.5',
      released: '2026-10-07',
      contextLength: 1_000_000,
      maxOutputTokens: 128_000,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
      constraints: ['rejects_sampling_params', 'rejects_thinking_budget_tokens'],
      aliases: ['anthropic/claude-haiku-5-5'],
    },
  ],
};
