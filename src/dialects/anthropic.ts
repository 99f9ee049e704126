/** Anthropic's Messages API: how Claude is asked, and how its answers become OpenAI's. */
import { readMessage } from './anthropic_answer.ts';
import { writeMessages } from './anthropic_request.ts';
import { MessageReader } from './anthropic_stream.ts';
import type { Dialect } from './dialect.ts';

/** The version under which models up to Claude 4.6 still take sampling parameters; the later one refuses them for all. */
const version = '2023-06-01';

export const anthropic: Dialect = {
  chatPath: () => '/messages',
  headers: (apiKey) => ['x-api-key', apiKey, 'anthropic-version', version],
  writeChat: writeMessages,
  readWhole: readMessage,
  isStream: (contentType) => /^text\/event-stream\b/i.test(contentType),
  readStream: (mostEventBytes, body) => new MessageReader(mostEventBytes, body),
};
