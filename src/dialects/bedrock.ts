/** Amazon Bedrock's Converse API: one form for the models of many makers, with API keys of Bedrock as bearer tokens. */
import { readConverse } from './bedrock_answer.ts';
import { writeConverse } from './bedrock_request.ts';
import { ConverseReader } from './bedrock_stream.ts';
import type { Dialect } from './dialect.ts';
import { fields } from './members.ts';
import { openai } from './openai.ts';
import type { ErrorMeaning } from './quirks.ts';

export const bedrock: Dialect = {
  chatPath: (model, isStreamed) =>
    `/model/${encodeURIComponent(model)}/${isStreamed ? 'converse-stream' : 'converse'}`,
  headers: openai.headers,
  writeChat: writeConverse,
  readWhole: readConverse,
  isStream: (contentType) => /^application\/vnd\.amazon\.eventstream\b/i.test(contentType),
  readStream: (mostEventBytes, body) => new ConverseReader(mostEventBytes, body),
  errorMeaning,
};

/** Of one model, which the account may not ask, or not in this region: neither the key's nor the request's trouble. */
const ofTheModel =
  /access to the model|model identifier is invalid|on-demand throughput|inference profile|end of its life|marked .* as legacy/i;

function errorMeaning(errorBody: string): ErrorMeaning | null {
  try {
    const { message, Message } = fields(JSON.parse(errorBody));
    return ofTheModel.test(String(message ?? Message)) ? 'failed' : null;
  } catch {
    return null;
  }
}
