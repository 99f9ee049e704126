/**
 * Models at Google Vertex AI, where each maker's are asked in a form of its own: Google's, Anthropic's, and OpenAI's for all
 * others. The base URL ends in `/projects/PROJECT/locations/LOCATION`; the key is an OAuth token.
 */
import { anthropic } from './anthropic.ts';
import { abilitiesOf } from './anthropic_model.ts';
import { messagesRequest } from './anthropic_request.ts';
import { compatible } from './compatible.ts';
import { type ChatBody, type ChatTarget, type Dialect, Unsupported } from './dialect.ts';
import { gemini, pathOf } from './gemini.ts';
import { writeGemini } from './gemini_request.ts';
import { type Fields, fields } from './members.ts';
import { openai } from './openai.ts';
import { usualQuirks } from './quirks.ts';

const { headers } = openai;

export const vertex: Dialect = {
  ...gemini,
  chatPath: pathOf('/publishers/google/models'),
  headers,
  writeChat: (body, target) => writeGemini(body, target, false),
};

export const vertexAnthropic: Dialect = {
  ...anthropic,
  chatPath: (model, isStreamed) =>
    `/publishers/anthropic/models/${model}:${isStreamed ? 'streamRawPredict' : 'rawPredict'}`,
  headers,
  writeChat: writeRaw,
  retryAfterMs: gemini.retryAfterMs,
};

export const vertexOpenai: Dialect = {
  ...compatible(usualQuirks),
  chatPath: () => '/endpoints/openapi/chat/completions',
  retryAfterMs: gemini.retryAfterMs,
};

/** Claude's own request, but for the model, which stands in the path. @throws Unsupported */
function writeRaw({ parsed }: ChatBody, target: ChatTarget): string {
  // Which of Anthropic's forms of JSON answers are known there differs by model: a tool is understood by all.
  const abilities = { ...abilitiesOf(target), nativeFormat: false };
  const request = messagesRequest(parsed, target, abilities);
  const blocks = request.messages.flatMap(({ content }) => content.flatMap(withResults));
  if (blocks.some(({ source }) => fields(source).type === 'url'))
    throw new Unsupported(
      'Images and files must come as base64 data for this provider.',
      'messages',
    );
  return JSON.stringify({
    anthropic_version: 'vertex-2023-10-16',
    ...request,
    ...(parsed.stream === true ? { stream: true } : {}),
  });
}

/** A block, and what stands in the result of a tool. */
function withResults(block: Fields): readonly Fields[] {
  return Array.isArray(block.content) ? [block, ...block.content.map(fields)] : [block];
}
