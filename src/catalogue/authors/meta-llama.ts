import type { AuthorEntry } from '../entry.ts';

export const metaLlama: AuthorEntry = {
  id: 'meta-llama',
  name: 'Meta',
  models: [
    {
      name: 'llama-3.3-70b-instruct',
      title: 'Llama-3.3-70B-Instruct',
      released: '2024-12-06',
      contextLength: 128_000,
      maxOutputTokens: 4_096,
      parameters:
        'frequency_penalty logit_bias max_completion_tokens max_tokens min_p presence_penalty repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
      aliases: ['meta/llama-3.3-70b-instruct'],
    },
  ],
};
