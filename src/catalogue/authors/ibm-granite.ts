import type { AuthorEntry } from '../entry.ts';

export const ibmGranite: AuthorEntry = {
  id: 'ibm-granite',
  name: 'IBM',
  models: [
    {
      name: 'granite-4.0-h-micro',
      title: 'Granite 4.0 H Micro',
      released: '2025-10-02',
      contextLength: 131_000,
      maxOutputTokens: 131_000,
      parameters:
        'frequency_penalty logit_bias max_completion_tokens max_tokens min_p presence_penalty repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p',
    },
  ],
};
