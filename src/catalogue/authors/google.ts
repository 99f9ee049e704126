import type { AuthorEntry } from '../entry.ts';

const parameters =
  'frequency_penalty include_reasoning logprobs max_completion_tokens max_tokens n presence_penalty reasoning reasoning_effort response_format seed stop stream stream_options structured_outputs temperature tool_choice tools top_k top_logprobs top_p';

export const google: AuthorEntry = {
  id: 'google',
  name: 'Google',
  models: [
    {
      name: 'gemini-3.8-flash',
      title: 'Gemini 3.8 Flash',
      released: '2026-09-02',
      contextLength: 1_048_576,
      maxOutputTokens: 65_536,
      input: ['image', 'video', 'audio', 'file'],
      reasoning: true,
      parameters,
      aliases: ['google/gemini-flash-latest'],
    },
    {
      name: 'gemini-3.5-flash-lite',
      title: 'Gemini 3.5 Flash Lite',
      released: '2026-07-21',
      contextLength: 1_048_576,
      maxOutputTokens: 65_536,
      input: ['image', 'video', 'audio', 'file'],
      reasoning: true,
      parameters,
    },
    {
      name: 'gemini-3.1-pro-preview',
      title: 'Gemini 3.1 Pro Preview',
      released: '2026-02-19',
      contextLength: 1_048_576,
      maxOutputTokens: 65_536,
      input: ['image', 'video', 'audio', 'file'],
      reasoning: true,
      parameters,
    },
  ],
};
