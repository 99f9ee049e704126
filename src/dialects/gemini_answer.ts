/** What Gemini answers, in OpenAI's words: the parts of a candidate, why it ended, whole answers. */
import { type ChatBody, Unreadable, Wasted } from './dialect.ts';
import { reasoningFormat } from './gemini_messages.ts';
import { usageOf } from './gemini_usage.ts';
import { type Fields, fields } from './members.ts';

interface ReasoningDetail {
  readonly type: 'reasoning.text' | 'reasoning.encrypted';
  readonly text?: string;
  readonly data?: string;
  readonly id?: string;
  readonly format: string;
  readonly index: number;
}

interface ToolCall {
  readonly index: number;
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
  readonly extra_content?: { readonly google: { readonly thought_signature: string } };
}

interface Image {
  readonly type: 'image_url';
  readonly image_url: { readonly url: string };
  readonly index: number;
}

/** What a part adds to a choice: a delta of a stream, of which a whole message is the sum. */
export interface Delta {
  readonly content?: string;
  readonly reasoning?: string;
  readonly reasoning_details?: readonly ReasoningDetail[];
  readonly tool_calls?: readonly [ToolCall];
  readonly images?: readonly [Image];
  readonly audio?: { readonly id: string; readonly data: string };
}

/** How the answer of a request is to be read. */
export interface Expectation {
  readonly choices: number;
  /** The client wants one call at a time, which Gemini has no word for: it gets the first. */
  readonly isSingleCall: boolean;
}

export function expectationOf({ parsed }: ChatBody): Expectation {
  const { n, parallel_tool_calls } = parsed;
  return {
    choices: typeof n === 'number' ? n : 1,
    isSingleCall: parallel_tool_calls === false,
  };
}

/** Reads the parts of one candidate as they come. */
export class Choice {
  readonly #expected: Expectation;
  #calls = 0;
  #images = 0;
  #signatures = 0;

  constructor(expected: Expectation) {
    this.#expected = expected;
  }

  /** What a part says; null for nothing, and for what only tools of Google's own bring. */
  read(part: Fields): Delta | null {
    const { text, functionCall, inlineData, thought, thoughtSignature } = part;
    const signature = typeof thoughtSignature === 'string' ? thoughtSignature : null;
    if (functionCall !== undefined) return this.#call(fields(functionCall), signature);
    const signed = signature === null ? [] : [this.#encrypted(signature)];
    const said = typeof text === 'string' ? text : '';
    if (thought === true && said !== '') {
      const shown = { type: 'reasoning.text', text: said, format: reasoningFormat } as const;
      return { reasoning: said, reasoning_details: [{ ...shown, index: 0 }, ...signed] };
    }
    // Images in a thought are drafts.
    const media = thought === true ? null : this.#media(fields(inlineData));
    const delta = { ...(said === '' ? {} : { content: said }), ...media };
    if (signature !== null) return { ...delta, reasoning_details: signed };
    return said === '' && media === null ? null : delta;
  }

  /** @returns the reason in OpenAI's words; null where the answer is none. */
  finish(reason: unknown): string | null {
    if (typeof reason === 'string' && failures.has(reason)) return null;
    const found = (typeof reason === 'string' ? finishes[reason] : undefined) ?? 'stop';
    return found === 'stop' && this.#calls > 0 ? 'tool_calls' : found;
  }

  #call({ id, name, args }: Fields, signature: string | null): Delta | null {
    if (this.#expected.isSingleCall && this.#calls > 0) return null;
    const call = {
      index: this.#calls,
      id: typeof id === 'string' && id !== '' ? id : `call_${crypto.randomUUID()}`,
      type: 'function',
      function: { name: String(name), arguments: JSON.stringify(args ?? {}) },
    } as const;
    this.#calls += 1;
    if (signature === null) return { tool_calls: [call] };
    const signed = { ...call, extra_content: { google: { thought_signature: signature } } };
    return { tool_calls: [signed], reasoning_details: [this.#encrypted(signature, call.id)] };
  }

  #media({ mimeType, data }: Fields): Delta | null {
    if (typeof mimeType !== 'string' || typeof data !== 'string') return null;
    if (mimeType.startsWith('audio/')) return { audio: { id: 'audio', data } };
    if (!mimeType.startsWith('image/')) return null;
    const image = {
      type: 'image_url',
      image_url: { url: `data:${mimeType};base64,${data}` },
      index: this.#images,
    } as const;
    this.#images += 1;
    return { images: [image] };
  }

  #encrypted(data: string, id?: string): ReasoningDetail {
    this.#signatures += 1;
    const detail = { type: 'reasoning.encrypted', data, format: reasoningFormat } as const;
    return { ...detail, ...(id === undefined ? {} : { id }), index: this.#signatures };
  }
}

/** Finish reasons other than STOP; those that are unknown, or say only that there is no more, are a stop as well. */
const finishes: Readonly<Record<string, string>> = {
  MAX_TOKENS: 'length',
  // Gemini 4 would go on in another request; its answer is as long as was asked for.
  CONTINUATION: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
};

/** The model went wrong: another try may do better. */
const failures: ReadonlySet<string> = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MALFORMED_RESPONSE',
]);

export function partsOf(candidate: Fields): readonly Fields[] {
  const { parts } = fields(candidate.content);
  return Array.isArray(parts) ? parts.map(fields) : [];
}

/** The reason why a prompt got no answer at all. */
export function blockReason(answer: Fields): string | null {
  const { blockReason: reason } = fields(answer.promptFeedback);
  return typeof reason === 'string' ? reason : null;
}

/** Made with each token and its likeliest rivals, as OpenAI has them; null where there are none. */
export function logprobsOf({ logprobsResult }: Fields): Fields | null {
  const { chosenCandidates, topCandidates } = fields(logprobsResult);
  if (!Array.isArray(chosenCandidates)) return null;
  const entry = (value: unknown): Fields => {
    const { token, logProbability } = fields(value);
    const text = typeof token === 'string' ? token : '';
    return { token: text, logprob: logProbability, bytes: [...Buffer.from(text)] };
  };
  const tops = Array.isArray(topCandidates) ? topCandidates : [];
  const content = chosenCandidates.map((chosen, index) => {
    const { candidates } = fields(tops[index]);
    const rivals = Array.isArray(candidates) ? candidates.map(entry) : [];
    return { ...entry(chosen), top_logprobs: rivals };
  });
  return { content, refusal: null };
}

/** Members with which every answer and every chunk begins. */
export function headOf(answer: Fields, object: string): Fields {
  const { responseId, modelVersion } = answer;
  return {
    id: typeof responseId === 'string' ? responseId : '',
    object,
    created: Math.floor(Date.now() / 1000),
    model: typeof modelVersion === 'string' ? modelVersion : '',
  };
}

/** A whole answer as an OpenAI chat completion. @throws Unreadable */
export function readWholeGemini(text: string, body: ChatBody): string {
  const answer = parsedObject(text);
  if (answer.error) throw new Unreadable('the provider reported an error');
  const expected = expectationOf(body);
  const candidates = Array.isArray(answer.candidates) ? answer.candidates.map(fields) : [];
  const blocked = blockReason(answer);
  if (candidates.length === 0 && blocked === null) throw new Unreadable('no candidate');
  const choices =
    candidates.length > 0
      ? candidates.map((candidate, at) => choiceOf(candidate, at, expected))
      : Array.from({ length: expected.choices }, (_, at) => blockedChoice(at, blocked));
  const usage = usageOf(answer.usageMetadata);
  return JSON.stringify({
    ...headOf(answer, 'chat.completion'),
    choices,
    ...(usage ? { usage } : {}),
  });
}

function parsedObject(text: string): Fields {
  try {
    return fields(JSON.parse(text));
  } catch (cause) {
    throw new Unreadable('the answer is not JSON', { cause });
  }
}

function blockedChoice(index: number, reason: string | null): Fields {
  const message = { role: 'assistant', content: null, refusal: null };
  const finish = { finish_reason: 'content_filter', native_finish_reason: reason };
  return { index, message, logprobs: null, ...finish };
}

function choiceOf(candidate: Fields, at: number, expected: Expectation): Fields {
  const choice = new Choice(expected);
  const deltas = partsOf(candidate).flatMap((part) => choice.read(part) ?? []);
  const finish = choice.finish(candidate.finishReason);
  if (finish === null) throw new Wasted(String(candidate.finishReason));
  return {
    index: typeof candidate.index === 'number' ? candidate.index : at,
    message: messageOf(deltas),
    logprobs: logprobsOf(candidate),
    finish_reason: finish,
    native_finish_reason: candidate.finishReason ?? null,
  };
}

/** The sum of all deltas. */
function messageOf(deltas: readonly Delta[]): Fields {
  const join = (name: 'content' | 'reasoning'): string =>
    deltas.map((delta) => delta[name] ?? '').join('');
  const reasoning = join('reasoning');
  const shown = { type: 'reasoning.text', text: reasoning, format: reasoningFormat, index: 0 };
  const signed = deltas
    .flatMap((delta) => delta.reasoning_details ?? [])
    .filter(({ type }) => type === 'reasoning.encrypted');
  const details = reasoning === '' ? signed : [shown, ...signed];
  // Only in a stream does a call say which it is.
  const calls = deltas
    .flatMap((delta) => delta.tool_calls ?? [])
    .map(({ index: _, ...call }) => call);
  const images = deltas.flatMap((delta) => delta.images ?? []);
  const sound = deltas.flatMap(({ audio }) => (audio ? [Buffer.from(audio.data, 'base64')] : []));
  return {
    role: 'assistant',
    content: join('content') || null,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(details.length === 0 ? {} : { reasoning_details: details }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(images.length === 0 ? {} : { images }),
    ...(sound.length === 0
      ? {}
      : { audio: { id: 'audio', data: Buffer.concat(sound).toString('base64'), transcript: '' } }),
  };
}
