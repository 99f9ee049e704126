/** Google's generateContent at the Gemini API. */
import type { Dialect } from './dialect.ts';
import { readWholeGemini } from './gemini_answer.ts';
import { writeGemini } from './gemini_request.ts';
import { GeminiReader } from './gemini_stream.ts';
import { fields } from './members.ts';
import { openai } from './openai.ts';

export function pathOf(folder: string): Dialect['chatPath'] {
  return (model, isStreamed) =>
    `${folder}/${model}:${isStreamed ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
}

export const gemini: Dialect = {
  chatPath: pathOf('/models'),
  headers: (apiKey) => ['x-goog-api-key', apiKey],
  writeChat: (body, target) => writeGemini(body, target, true),
  readWhole: readWholeGemini,
  isStream: openai.isStream,
  readStream: (mostEventBytes, body) => new GeminiReader(mostEventBytes, body),
  retryAfterMs,
};

/** Google says in the body, and in no header, when to come again: `RetryInfo` with a `retryDelay` such as "34.4s". */
function retryAfterMs(errorBody: string): number | null {
  try {
    const { details } = fields(fields(JSON.parse(errorBody)).error);
    const delays = (Array.isArray(details) ? details : []).map((detail) => {
      const { retryDelay } = fields(detail);
      const seconds = /^(\d+(?:\.\d+)?)s$/.exec(String(retryDelay))?.[1];
      return seconds === undefined ? null : Number(seconds) * 1000;
    });
    return delays.find((delay) => delay !== null) ?? null;
  } catch {
    return null;
  }
}
