/** Decides what a stand-in answers: text, tool calls or JSON, cut exactly where the request says, with its tokens counted. */

import { randomBytes } from 'node:crypto';
import { type ChatRequest, type Message, Refusal, type Tool } from './request.ts';
import { instanceOf, NoInstance } from './schema_instance.ts';
import { countTokens, tokenise } from './tokens.ts';

/** What the sandbox knows of the model whose place it takes. */
export interface StandIn {
  /** For people. */
  readonly title: string;
  /** As the provider echoes it: the dated snapshot where one is known. */
  readonly snapshot: string;
  readonly provider: string;
  /** Id of who made the model. */
  readonly author: string;
  /** The variable that would make the provider real. */
  readonly keyVariable: string;
  readonly reasoning: boolean;
  readonly completionExcludesReasoning: boolean;
  /** Tokens of one answer. */
  readonly maxOutputTokens: number;
  /** Tokens of prompt and answer. */
  readonly contextLength: number;
  readonly constraints: readonly string[];
}

export interface Call {
  readonly id: string;
  readonly kind: Tool['kind'];
  readonly name: string;
  /** Tokens of the arguments; joined they are JSON, unless the limit cut them. */
  readonly input: readonly string[];
}

export interface Choice {
  /** Tokens; `null` beside tool calls. */
  readonly text: readonly string[] | null;
  readonly calls: readonly Call[];
  readonly reasoningTokens: number;
  /** Text, names and arguments of calls; without reasoning. */
  readonly visibleTokens: number;
  readonly finish: 'stop' | 'length' | 'tool_calls';
}

export interface Answer {
  readonly promptTokens: number;
  readonly choices: readonly Choice[];
}

/** Flat, as for a small image; real providers count by size. */
export const tokensOfMedia = 85;
const tokensOfFraming = 3;

/** Every message costs three tokens beside its text and so does the beginning of the answer; tools cost their JSON. */
function countPrompt(request: ChatRequest): number {
  let tokens = tokensOfFraming + countTokens(request.toolsText);
  for (const { text, media, calls } of request.messages) {
    const parts = Object.values(media).reduce((sum, count) => sum + count, 0);
    tokens += tokensOfFraming + countTokens(text) + countTokens(calls) + parts * tokensOfMedia;
  }
  return tokens;
}

const effortTokens: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 8,
  low: 16,
  medium: 32,
  high: 64,
  xhigh: 128,
  max: 256,
};

function quote(text: string): string {
  const characters = Array.from(text.slice(0, 1000).trim().replace(/\s+/g, ' '));
  return characters.length > 200 ? `${characters.slice(0, 200).join('')}…` : characters.join('');
}

/** So that the same request and seed get the same words, and the choices of one request differ. */
function variantOf(request: ChatRequest, index: number, count: number): number {
  let sum = request.seed ?? 0;
  for (const { text } of request.messages) sum += text.length;
  return Math.abs(Math.trunc(sum % count) + index) % count;
}

const words = {
  en: {
    why: (model: StandIn) =>
      `[sandbox] No model was asked, because the operator of this installation has not set a provider key (${model.keyVariable}). This text stands in for ${model.title}.`,
    said: (text: string) => ` You said: “${text}”.`,
    tool: (text: string) => ` The tool answered: “${text}”.`,
    media: (count: number) =>
      count === 1 ? ' One attachment came with it.' : ` ${count} attachments came with it.`,
    endings: [
      ' Tokens and costs are counted as for a real answer.',
      ' Everything else works as it would with the model itself.',
      ' Only play money is spent on it.',
    ],
  },
  bn: {
    why: (model: StandIn) =>
      `[sandbox] কোনো মডেলকে জিজ্ঞেস করা হয়নি, কারণ এই ইনস্টলেশনের পরিচালক কোনো provider key (${model.keyVariable}) দেননি। এই লেখাটি ${model.title}-এর জায়গায় দেওয়া হলো।`,
    said: (text: string) => ` আপনি লিখেছেন: “${text}”।`,
    tool: (text: string) => ` টুলের উত্তর: “${text}”।`,
    media: (count: number) => ` সঙ্গে ${count}টি সংযুক্তি ছিল।`,
    endings: [
      ' টোকেন ও খরচ আসল উত্তরের মতোই গোনা হয়।',
      ' বাকি সব কিছু আসল মডেলের মতোই চলে।',
      ' এতে শুধু খেলার টাকা খরচ হয়।',
    ],
  },
} as const;

function plainText(request: ChatRequest, model: StandIn, index: number): string {
  const user = request.messages.findLast((message) => message.role === 'user');
  const last = request.messages.at(-1);
  const said = quote(user?.text ?? '');
  const language = words[/\p{Script=Bengali}/u.test(said) ? 'bn' : 'en'];
  const media = Object.values(user?.media ?? {}).reduce((sum, count) => sum + count, 0);
  return [
    language.why(model),
    said && language.said(said),
    media > 0 ? language.media(media) : '',
    last?.role === 'tool' ? language.tool(quote(last.text)) : '',
    language.endings[variantOf(request, index, language.endings.length)],
  ].join('');
}

/** @throws Refusal for a schema that no value can satisfy, as far as we can tell */
function instanceText(schema: ChatRequest['schema'], param: string): string {
  try {
    return JSON.stringify(instanceOf(schema));
  } catch (error) {
    if (!(error instanceof NoInstance)) throw error;
    throw new Refusal(400, `Invalid schema: ${error.message}`, 'invalid_json_schema', param);
  }
}

function fullText(request: ChatRequest, model: StandIn, index: number): string {
  if (request.format === 'text') return plainText(request, model, index);
  if (request.format === 'json_object')
    return JSON.stringify({ sandbox: true, text: plainText(request, model, index) });
  return instanceText(request.schema, 'response_format');
}

function mentioned(tool: Tool, text: string): boolean {
  const said = text.toLowerCase();
  return tool.name
    .toLowerCase()
    .split(/[_-]+/)
    .some((word) => word.length >= 4 && said.includes(word));
}

/**
 * A model would think about it; the stand-in calls whatever tools the user mentions, else the first,
 * and on "auto" answers in words once a tool has answered.
 */
function toolsToCall(request: ChatRequest): readonly Tool[] {
  const { tools, toolUse, parallel, messages } = request;
  const last: Message | undefined = messages.at(-1);
  if (toolUse === 'none' || (toolUse === 'auto' && last?.role === 'tool')) return [];
  const user = messages.findLast((message) => message.role === 'user')?.text ?? '';
  const wanted = tools.filter((tool) => mentioned(tool, user));
  const called = wanted.length > 0 ? wanted : tools;
  return called.slice(0, parallel && wanted.length > 0 ? called.length : 1);
}

/** `prefix` and 24 letters or digits. */
export function randomId(prefix: string): string {
  return `${prefix}${randomBytes(12).toString('hex')}`;
}

/** Takes from the front what the limit still allows. */
class Allowance {
  private left: number;
  /** Something did not fit. */
  exhausted = false;

  constructor(limit: number | null) {
    this.left = limit ?? Number.POSITIVE_INFINITY;
  }

  take(wanted: number): number {
    const taken = Math.min(wanted, this.left);
    if (taken < wanted) this.exhausted = true;
    this.left -= taken;
    return taken;
  }
}

function cutAtStop(text: string, stops: readonly string[]): string {
  const found = stops.map((stop) => (stop ? text.indexOf(stop) : -1)).filter((at) => at >= 0);
  return found.length > 0 ? text.slice(0, Math.min(...found)) : text;
}

function makeCalls(
  tools: readonly Tool[],
  allowance: Allowance,
): { calls: Call[]; tokens: number } {
  const calls: Call[] = [];
  let tokens = 0;
  for (const { kind, name, parameters } of tools) {
    const text = kind === 'custom' ? '[sandbox] input' : instanceText(parameters, 'tools');
    const nameTokens = allowance.take(countTokens(name));
    tokens += nameTokens;
    if (allowance.exhausted) break;
    const input = tokenise(text);
    const taken = allowance.take(input.length);
    tokens += taken;
    calls.push({ id: randomId('call_'), kind, name, input: input.slice(0, taken) });
  }
  return { calls, tokens };
}

function choose(request: ChatRequest, model: StandIn, index: number): Choice {
  const allowance = new Allowance(request.limit);
  const effort = model.reasoning ? (effortTokens[request.effort ?? 'medium'] ?? 0) : 0;
  const reasoningTokens = allowance.take(effort);
  const tools = toolsToCall(request);
  if (tools.length > 0) {
    const { calls, tokens } = makeCalls(tools, allowance);
    // OpenAI says "stop" where the client itself chose the function.
    const finish = request.toolUse === 'named' ? 'stop' : 'tool_calls';
    return {
      text: null,
      calls,
      reasoningTokens,
      visibleTokens: tokens,
      finish: allowance.exhausted ? 'length' : finish,
    };
  }
  const tokens = tokenise(cutAtStop(fullText(request, model, index), request.stop));
  const text = tokens.slice(0, allowance.take(tokens.length));
  const finish = allowance.exhausted ? 'length' : 'stop';
  return { text, calls: [], reasoningTokens, visibleTokens: text.length, finish };
}

/** @throws Refusal where the request cannot be answered */
export function answer(request: ChatRequest, model: StandIn): Answer {
  if (model.provider === 'openai' && model.reasoning && request.limitField === 'max_tokens')
    throw new Refusal(
      400,
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      'unsupported_parameter',
      'max_tokens',
    );
  const promptTokens = countPrompt(request);
  const { contextLength } = model;
  if (promptTokens > contextLength)
    throw new Refusal(
      400,
      `This model's maximum context length is ${contextLength} tokens. However, your messages resulted in ${promptTokens} tokens. Please reduce the length of the messages.`,
      'context_length_exceeded',
      'messages',
    );
  const choices = Array.from({ length: request.choices }, (_, index) =>
    choose(request, model, index),
  );
  return { promptTokens, choices };
}
