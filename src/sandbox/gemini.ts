/** Google's form of a stand-in: generateContent and streamGenerateContent, on the wire as the Gemini API has them. */

import { hash } from 'node:crypto';
import {
  type Answer,
  answer,
  type Choice,
  randomId,
  type StandIn,
  tokensOfMedia,
} from './answer.ts';
import type { Asked, Form, Reply } from './form.ts';
import { type GeminiRequest, readGeminiRequest, signatureOf, signs } from './gemini_request.ts';
import { Refusal } from './request.ts';

const path =
  /^POST \/v1(?:beta)?\/(publishers\/google\/)?models\/([^/:?]+):(generateContent|streamGenerateContent)(\?.*)?$/;

/** Tokens of text that one event of a stream brings: Gemini's are coarse. */
const tokensOfEvent = 8;
/** A prompt of at least so many tokens that is asked again is read from the cache, in pieces of that size. */
const cachedPiece = 1024;
const mostPrompts = 200;
/** Hashes of prompts that were asked, oldest first. */
const prompts = new Set<string>();

/** Tokens of a prompt that a cache had, as implicit caching would find them. */
function cachedTokens(request: GeminiRequest, promptTokens: number): number {
  const content = JSON.stringify([request.model, request.messages, request.toolsText]);
  const key = hash('sha256', content);
  const isKnown = prompts.delete(key);
  prompts.add(key);
  for (const oldest of prompts) if (prompts.size > mostPrompts) prompts.delete(oldest);
  return isKnown ? Math.floor(promptTokens / cachedPiece) * cachedPiece : 0;
}

const modalities: Readonly<Record<string, string>> = {
  image: 'IMAGE',
  audio: 'AUDIO',
  video: 'VIDEO',
  application: 'DOCUMENT',
  text: 'DOCUMENT',
};

interface Counts {
  readonly prompt: number;
  readonly cached: number;
  readonly media: ReadonlyMap<string, number>;
}

function countsOf(request: GeminiRequest, { promptTokens }: Answer): Counts {
  const media = new Map<string, number>();
  for (const message of request.messages)
    for (const [kind, count] of Object.entries(message.media)) {
      const modality = modalities[kind] ?? 'DOCUMENT';
      media.set(modality, (media.get(modality) ?? 0) + count * tokensOfMedia);
    }
  return { prompt: promptTokens, cached: cachedTokens(request, promptTokens), media };
}

/** Counters that are zero are left out, as Google leaves them. */
function usageOf({ prompt, cached, media }: Counts, visible: number, thoughts: number): object {
  const attached = [...media.values()].reduce((sum, count) => sum + count, 0);
  const details = [['TEXT', prompt - attached] as const, ...media].map(
    ([modality, tokenCount]) => ({
      modality,
      tokenCount,
    }),
  );
  return {
    promptTokenCount: prompt,
    ...(visible > 0 ? { candidatesTokenCount: visible } : {}),
    totalTokenCount: prompt + visible + thoughts,
    ...(cached > 0
      ? {
          cachedContentTokenCount: cached,
          cacheTokensDetails: [{ modality: 'TEXT', tokenCount: cached }],
        }
      : {}),
    promptTokensDetails: details,
    ...(thoughts > 0 ? { thoughtsTokenCount: thoughts } : {}),
    serviceTier: 'standard',
  };
}

/** A step of a candidate. */
interface Step {
  readonly parts: readonly object[];
  /** Tokens of text, calls, thoughts that it brings. */
  readonly visible: number;
  readonly thoughts: number;
  readonly logprobs: readonly string[];
}

function partsOfCalls({ calls }: Choice, model: string): object[] {
  return calls.flatMap(({ name, input }, index) => {
    const text = input.join('');
    // What a limit has cut is no call.
    if (!isJson(text)) return [];
    const args: unknown = JSON.parse(text);
    const isSigned = index === 0 && signs(model);
    const signature = isSigned ? { thoughtSignature: signatureOf(name, args) } : {};
    return [{ functionCall: { name, args }, ...signature }];
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function* stepsOf(choice: Choice, request: GeminiRequest): Generator<Step> {
  const { reasoningTokens: thoughts, text } = choice;
  if (thoughts > 0) {
    const thought = { text: '**Standing in**\n\nNobody thinks here.\n', thought: true };
    const parts = request.includeThoughts ? [thought] : [];
    yield { parts, visible: 0, thoughts, logprobs: [] };
  }
  for (let at = 0; text && at < text.length; at += tokensOfEvent) {
    const tokens = text.slice(at, at + tokensOfEvent);
    const parts = [{ text: tokens.join('') }];
    yield { parts, visible: tokens.length, thoughts: 0, logprobs: tokens };
  }
  if (choice.calls.length > 0) {
    const parts = partsOfCalls(choice, request.model);
    yield { parts, visible: choice.visibleTokens, thoughts: 0, logprobs: [] };
  }
}

/** The last words of a candidate are signed as well, with nobody checking. */
function lastParts({ calls }: Choice, model: string): object[] {
  const isSigned = calls.length === 0 && signs(model);
  return [{ text: '', ...(isSigned ? { thoughtSignature: signatureOf('text', {}) } : {}) }];
}

function logprobsOf(tokens: readonly string[], { logprobs, topLogprobs }: GeminiRequest): object {
  if (!logprobs || tokens.length === 0) return {};
  const entry = (token: string, rank: number) => ({
    token,
    tokenId: 7,
    logProbability: -0.01 - rank,
  });
  const rivals = Array.from({ length: topLogprobs }, (_, rank) => rank);
  return {
    logprobsResult: {
      chosenCandidates: tokens.map((token) => entry(token, 0)),
      topCandidates: tokens.map((token) => ({
        candidates: rivals.map((rank) => entry(rank === 0 ? token : ` other${rank}`, rank)),
      })),
    },
  };
}

function finishOf({ finish }: Choice): string {
  return finish === 'length' ? 'MAX_TOKENS' : 'STOP';
}

function wholeAnswer(request: GeminiRequest, model: StandIn, given: Answer): string {
  const steps = given.choices.map((choice) => [...stepsOf(choice, request)]);
  const sum = (name: 'visible' | 'thoughts'): number =>
    steps.flat().reduce((total, step) => total + step[name], 0);
  const candidates = given.choices.map((choice, index) => ({
    content: {
      parts: [
        ...(steps[index] ?? []).flatMap(({ parts }) => parts),
        ...lastParts(choice, request.model),
      ],
      role: 'model',
    },
    finishReason: finishOf(choice),
    index,
    ...logprobsOf(
      (steps[index] ?? []).flatMap(({ logprobs }) => logprobs),
      request,
    ),
  }));
  return JSON.stringify({
    candidates,
    usageMetadata: usageOf(countsOf(request, given), sum('visible'), sum('thoughts')),
    modelVersion: model.snapshot,
    responseId: randomId(''),
  });
}

/** Several candidates take turns; each event brings the sum of all that was used so far. */
function* events(request: GeminiRequest, model: StandIn, given: Answer): Generator<object> {
  const counts = countsOf(request, given);
  const end = { modelVersion: model.snapshot, responseId: randomId('') };
  let visible = 0;
  let thoughts = 0;
  let turns = given.choices.map((choice, index) => ({
    choice,
    index,
    steps: stepsOf(choice, request),
  }));
  while (turns.length > 0) {
    const going: typeof turns = [];
    for (const turn of turns) {
      const { value: step, done } = turn.steps.next();
      visible += step?.visible ?? 0;
      thoughts += step?.thoughts ?? 0;
      const parts = done ? lastParts(turn.choice, request.model) : (step?.parts ?? []);
      const candidate = {
        content: { parts, role: 'model' },
        ...(done ? { finishReason: finishOf(turn.choice) } : {}),
        index: turn.index,
        ...logprobsOf(step?.logprobs ?? [], request),
      };
      if (!done) going.push(turn);
      if (parts.length === 0) continue;
      yield { candidates: [candidate], usageMetadata: usageOf(counts, visible, thoughts), ...end };
    }
    turns = going;
  }
}

function* serverSent(all: Iterable<object>): Generator<string> {
  for (const each of all) yield `data: ${JSON.stringify(each)}`;
}

function reply({ where, headers, body }: Asked, known: ReadonlyMap<string, StandIn>): Reply {
  const [, vertex, name = '', method, query = ''] = path.exec(where) ?? [];
  if (!headers[vertex ? 'authorization' : 'x-goog-api-key'])
    throw new Refusal(403, "Method doesn't allow unregistered callers.", 'PERMISSION_DENIED');
  const model = known.get(name);
  if (!model)
    throw new Refusal(
      404,
      `models/${name} is not found for API version v1beta, or is not supported for ${method}.`,
      'NOT_FOUND',
    );
  const isStreamed = method === 'streamGenerateContent';
  const request = readGeminiRequest(body, name, isStreamed);
  const given = answer(request, model);
  if (!isStreamed) return { json: wholeAnswer(request, model, given) };
  const all = events(request, model, given);
  // Without alt=sse the stream is one array.
  if (new URLSearchParams(query).get('alt') !== 'sse') return { json: JSON.stringify([...all]) };
  return { events: serverSent(all) };
}

export const geminiForm: Form = {
  takes: (where) => path.test(where),
  reply,
  headers: () => ({ 'x-gemini-service-tier': 'standard' }),
  refusal: ({ status, message, code }) => {
    const own = code && /^[A-Z_]+$/.test(code) ? code : null;
    const usual = status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT';
    return JSON.stringify({ error: { code: status, message, status: own ?? usual } });
  },
};
