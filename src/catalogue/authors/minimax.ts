import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const minimax: AuthorEntry = {
  id: 'minimax',
  name: 'MiniMax',
  models: [
    {
      name: 'minimax-m3.1-flash',
      title: 'MiniMax-M3.1-Flash',
      released: '2026-10-20',
      contextLength: 1_000_000,
      maxOutputTokens: 524_288,
      input: ['image'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
      aliases: ['minimax/MiniMax-M3.1-Flash'],
    },
    {
      name: 'minimax-m3',
      title: 'MiniMax-M3',
      released: '2026-06-01',
      contextLength: 1_000_000,
      maxOutputTokens: 524_288,
      input: ['image', 'video'],
      reasoning: true,
      parameters,
      aliases: ['minimax/MiniMax-M3'],
    },
    {
      name: 'minimax-m2.7',
      title: 'MiniMax-M2.7',
      released: '2026-03-18',
      contextLength: 204_800,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
      aliases: ['minimax/MiniMax-M2.7'],
    },
    {
      name: 'minimax-m2.7-highspeed',
      title: 'MiniMax-M2.7-highspeed',
      released: '2026-03-18',
      contextLength: 204_800,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
      aliases: ['minimax/MiniMax-M2.7-highspeed'],
    },
    {
      name: 'minimax-m2.5',
      title: 'MiniMax-M2.5',
      released: '2026-02-12',
      contextLength: 204_800,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
    },
    {
      name: 'minimax-m2.1',
      title: 'MiniMax-M2.1',
      released: '2025-12-23',
      contextLength: 204_800,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
    },
    {
      name: 'minimax-m2',
      title: 'MiniMax-M2',
      released: '2025-10-27',
      contextLength: 204_800,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
    },
  ],
};
