import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const xiaomi: AuthorEntry = {
  id: 'xiaomi',
  name: 'Xiaomi',
  models: [
    {
      name: 'mimo-v2.6-flash',
      title: 'MiMo-V2.6-Flash',
      released: '2026-09-22',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      input: ['image', 'audio', 'video'],
      reasoning: true,
      parameters,
    },
    {
      name: 'mimo-v2.6-pro',
      title: 'MiMo-V2.6-Pro',
      released: '2026-09-22',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      input: ['image', 'audio', 'video'],
      reasoning: true,
      parameters,
    },
    {
      name: 'mimo-v2.6-pro-ultraspeed',
      title: 'MiMo-V2.6-Pro-UltraSpeed',
      released: '2026-09-21',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      input: ['image', 'audio', 'video'],
      reasoning: true,
      parameters,
    },
    {
      name: 'mimo-v2.5',
      title: 'MiMo-V2.5',
      released: '2026-04-22',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      input: ['image', 'audio', 'video'],
      reasoning: true,
      parameters,
    },
    {
      name: 'mimo-v2.5-pro',
      title: 'MiMo-V2.5-Pro',
      released: '2026-04-22',
      contextLength: 1_048_576,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
    },
  ],
};
