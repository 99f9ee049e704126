import type { AuthorEntry } from '../entry.ts';

export const upstage: AuthorEntry = {
  id: 'upstage',
  name: 'Upstage',
  models: [
    {
      name: 'solar-pro4',
      title: 'Solar Pro 4',
      released: '2026-08-10',
      contextLength: 524_288,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
    },
    {
      name: 'solar-pro-3',
      title: 'Solar Pro 3',
      released: '2026-01-27',
      contextLength: 131_072,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
      aliases: ['upstage/solar-pro3'],
    },
  ],
};
