import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const sakana: AuthorEntry = {
  id: 'sakana',
  name: 'Sakana AI',
  models: [
    {
      name: 'sakana-namazu',
      title: 'Sakana Namazu',
      released: '2026-08-03',
      contextLength: 262_144,
      maxOutputTokens: 65_536,
      input: ['image', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'fugu-ultra',
      title: 'Fugu Ultra',
      released: '2026-06-15',
      contextLength: 1_000_000,
      maxOutputTokens: 1_000_000,
      input: ['image'],
      reasoning: true,
      parameters,
    },
  ],
};
