import type { AuthorEntry } from '../entry.ts';

const reasoning =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

const plain =
  'frequency_penalty logit_bias max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const moonshotai: AuthorEntry = {
  id: 'moonshotai',
  name: 'Moonshot AI',
  models: [
    {
      name: 'kimi-k3.1-pro',
      title: 'Kimi K3.1 Pro',
      released: '2026-10-24',
      contextLength: 1_048_576,
      maxOutputTokens: 1_048_576,
      input: ['image'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k3.1-pro-highspeed',
      title: 'Kimi K3.1 Pro Highspeed',
      released: '2026-10-24',
      contextLength: 1_048_576,
      maxOutputTokens: 1_048_576,
      input: ['image'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k3',
      title: 'Kimi K3',
      released: '2026-07-16',
      contextLength: 1_048_576,
      maxOutputTokens: 1_048_576,
      input: ['image', 'video'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k2.7-code',
      title: 'Kimi K2.7 Code',
      released: '2026-06-12',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      input: ['image', 'video'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k2.7-code-highspeed',
      title: 'Kimi K2.7 Code HighSpeed',
      released: '2026-06-12',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      input: ['image', 'video'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k2.6',
      title: 'Kimi K2.6',
      released: '2026-04-21',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      input: ['image', 'video'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k2.5',
      title: 'Kimi K2.5',
      released: '2026-01-26',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      input: ['image', 'video'],
      reasoning: true,
      parameters: reasoning,
    },
    {
      name: 'kimi-k2-thinking',
      title: 'Kimi K2 Thinking',
      released: '2025-11-06',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p parallel_tool_calls presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
    },
    {
      name: 'kimi-k2-0905',
      title: 'Kimi K2 0905',
      released: '2025-09-04',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      parameters: plain,
    },
    {
      name: 'kimi-k2',
      title: 'Kimi K2 0711',
      released: '2025-07-11',
      contextLength: 131_072,
      maxOutputTokens: 16_384,
      parameters: plain,
    },
  ],
};
