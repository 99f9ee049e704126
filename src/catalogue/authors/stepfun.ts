import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options temperature tool_choice tools top_k top_p';

export const stepfun: AuthorEntry = {
  id: 'stepfun',
  name: 'StepFun',
  models: [
    {
      name: 'step-5-preview',
      title: 'Step 5 Preview',
      released: '2026-09-16',
      contextLength: 1_024_000,
      maxOutputTokens: 65_536,
      input: ['image', 'video'],
      reasoning: true,
      parameters:
        'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p',
    },
    {
      name: 'step-3.7-flash',
      title: 'Step 3.7 Flash',
      released: '2026-05-29',
      contextLength: 256_000,
      maxOutputTokens: 256_000,
      input: ['image'],
      reasoning: true,
      parameters,
    },
    {
      name: 'step-3.5-flash',
      title: 'Step 3.5 Flash',
      released: '2026-01-29',
      contextLength: 256_000,
      maxOutputTokens: 256_000,
      reasoning: true,
      parameters,
    },
  ],
};
