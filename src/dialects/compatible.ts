/** OpenAI's dialect as one provider speaks it, by its quirks. */
import { ChunkMender, mendAnswer } from './compatible_answer.ts';
import { quirkEdits } from './compatible_request.ts';
import { gathered } from './compatible_whole.ts';
import { type ChatBody, type ChatTarget, type Dialect, Unreadable, Wasted } from './dialect.ts';
import { editMembers, fields } from './members.ts';
import { chatEdits, clientLimit, openai } from './openai.ts';
import { constraintEdits } from './openai_model.ts';
import type { ErrorMeaning, Quirks } from './quirks.ts';

export function compatible(quirks: Quirks): Dialect {
  const { keyHeader, errors } = quirks;
  return {
    ...openai,
    headers: (apiKey) => (keyHeader ? [keyHeader, apiKey] : openai.headers(apiKey)),
    writeChat: (body, target) => {
      const { text, parsed } = body;
      return editMembers(text, parsed, {
        ...chatEdits(body, target),
        ...quirkEdits(parsed, quirks),
        ...(mustStream(body, target, quirks) ? asStream : {}),
        ...constraintEdits(parsed, target.constraints),
      });
    },
    // A model that answers as a stream alone was asked for one.
    readWhole: (text, body) =>
      text.startsWith('{')
        ? readWhole(text, hidesReasoning(body))
        : wholeOf(text, hidesReasoning(body)),
    readStream: (mostEventBytes, body) => new ChunkMender(mostEventBytes, hidesReasoning(body)),
    errorMeaning: (body) => (errors ? meaningOf(body, errors) : null),
  };
}

function mustStream(
  { parsed }: ChatBody,
  { upstreamModel, cap }: ChatTarget,
  { streamsOnly, wholeUpTo = Number.POSITIVE_INFINITY }: Quirks,
): boolean {
  if (streamsOnly?.includes(upstreamModel)) return true;
  return (cap ?? clientLimit(parsed) ?? 0) > wholeUpTo;
}

const asStream = { stream: 'true', stream_options: '{"include_usage":true}' };

/** @throws Unreadable for a stream that is no whole answer */
function wholeOf(text: string, hides: boolean): string {
  const isStream = /^\s*(?:data|event|id|:)/.test(text);
  return isStream ? JSON.stringify(gathered(text, hides)) : readWhole(text, hides);
}

/** Providers have no word for it: it is kept from the client here. Most requests ask nothing of reasoning at all. */
function hidesReasoning({ parsed }: ChatBody): boolean {
  return parsed.include_reasoning === false || fields(parsed.reasoning).exclude === true;
}

/** @throws Unreadable for an answer that says it failed */
function readWhole(text: string, hides: boolean): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return text;
  }
  const answer = fields(parsed);
  const mended = mendAnswer(answer, hides);
  if (mended.error && !answer.error) {
    const message = String(fields(mended.error).message);
    throw answer.choices ? new Wasted(message) : new Unreadable(message);
  }
  return mended === answer ? text : JSON.stringify(mended);
}

/** Codes are numbers, or text, at the top or in `error`. */
function meaningOf(
  text: string,
  meanings: Readonly<Record<string, ErrorMeaning>>,
): ErrorMeaning | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return null;
  }
  const { error, code, type } = fields(body);
  const names = [fields(error).code, fields(error).type, code, type];
  for (const name of names) {
    const meaning = typeof name === 'object' ? undefined : meanings[String(name)];
    if (meaning) return meaning;
  }
  return null;
}
