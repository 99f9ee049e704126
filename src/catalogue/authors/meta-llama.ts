import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty logit_bias max_completion_tokens max_tokens min_p presence_penalty repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const metaLlama: AuthorEntry = {
  id: 'meta-llama',
  name: 'Meta',
  models: [
    {
      name: 'llama-4-maverick',
      title: 'Llama 4 Maverick',
      released: '2025-04-05',
      contextLength: 1_000_000,
      maxOutputTokens: 8_192,
      input: ['image'],
      parameters,
    },
    {
      name: 'llama-4-scout',
      title: 'Llama 4 Scout',
      released: '2025-04-05',
      contextLength: 10_000_000,
      maxOutputTokens: 8_192,
      input: ['image'],
      parameters,
    },
    {
      name: 'llama-3.3-70b-instruct',
      title: 'Llama-3.3-70B-Instruct',
      released: '2024-12-06',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      parameters,
      aliases: ['meta/llama-3.3-70b-instruct'],
    },
    {
      name: 'llama-3.1-8b-instruct',
      title: 'Llama-3.1-8B-Instruct',
      released: '2024-07-23',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      parameters:
        'frequency_penalty logit_bias max_completion_tokens max_tokens min_p presence_penalty repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
      aliases: ['meta/llama-3.1-8b-instruct'],
    },
    {
      name: 'llama-3.1-70b-instruct',
      title: 'Llama 3.1 70B Instruct',
      released: '2024-07-23',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      parameters:
        'max_completion_tokens max_tokens response_format stop stream stream_options temperature tool_choice tools top_p',
    },
  ],
};
