import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logit_bias max_completion_tokens max_tokens min_p presence_penalty reasoning reasoning_effort repetition_penalty response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_p';

export const nvidia: AuthorEntry = {
  id: 'nvidia',
  name: 'NVIDIA',
  models: [
    {
      name: 'nemotron-3.5-super-vl',
      title: 'Nemotron 3.5 Super VL 120B A12B',
      released: '2026-10-20',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      input: ['image'],
      reasoning: true,
      parameters,
    },
    {
      name: 'nemotron-3.5-lightning',
      title: 'Nemotron 3.5 Lightning 30B A3B',
      released: '2026-08-11',
      contextLength: 262_144,
      maxOutputTokens: 262_144,
      reasoning: true,
      parameters,
    },
    {
      name: 'nemotron-3-ultra-550b-a55b',
      title: 'Nemotron 3 Ultra 550B A55B',
      released: '2026-06-04',
      contextLength: 512_300,
      maxOutputTokens: 202_800,
      reasoning: true,
      parameters,
    },
    {
      name: 'nemotron-3-super-120b-a12b',
      title: 'Nemotron 3 Super 120B A12B',
      released: '2026-03-11',
      contextLength: 262_144,
      maxOutputTokens: 131_072,
      reasoning: true,
      parameters,
    },
    {
      name: 'nemotron-3-nano-30b-a3b',
      title: 'Nemotron 3 Nano 30B A3B',
      released: '2025-12-15',
      contextLength: 262_144,
      maxOutputTokens: 8_192,
      reasoning: true,
      parameters,
    },
    {
      name: 'nemotron-nano-12b-v2',
      title: 'Nemotron Nano 12B V2 VL',
      released: '2025-10-28',
      contextLength: 131_072,
      maxOutputTokens: 8_192,
      input: ['image'],
      parameters:
        'max_completion_tokens max_tokens response_format stop stream stream_options temperature tool_choice tools top_p',
    },
    {
      name: 'nemotron-nano-9b-v2',
      title: 'Nemotron Nano 9B V2',
      released: '2025-08-18',
      contextLength: 131_072,
      maxOutputTokens: 8_192,
      parameters:
        'max_completion_tokens max_tokens response_format stop stream stream_options temperature tool_choice tools top_p',
    },
  ],
};
