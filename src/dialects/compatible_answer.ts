/** Answers of providers that speak nearly OpenAI's form, made the same for all. */
import { type Fields, fields } from './members.ts';
import { errorMessage } from './openai.ts';
import { EventSplitter } from './stream.ts';

/** What others say for OpenAI's finish reasons; null for a failure. Cohere's own words are in capitals. */
const finishes: Readonly<Record<string, string | null>> = {
  eos: 'stop',
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop',
  model_length: 'length',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
  sensitive: 'content_filter',
  insufficient_system_resource: null,
  network_error: null,
  abort: null,
  error: null,
  ERROR: null,
};

const finishesOfOpenai: ReadonlySet<unknown> = new Set([
  'stop',
  'length',
  'tool_calls',
  'content_filter',
  'function_call',
]);

/** Reads a stream, and mends its chunks. */
export class ChunkMender extends EventSplitter {
  /** The calls of each choice that has begun, in the order of their indexes. */
  readonly #choices = new Map<unknown, Call[]>();
  readonly #hidesReasoning: boolean;

  /** @param hidesReasoning the client does not want to see it */
  constructor(mostEventBytes: number, hidesReasoning = false) {
    super(mostEventBytes);
    this.#hidesReasoning = hidesReasoning;
  }

  /** A chunk as OpenAI has it: the same object where it is so. */
  mend(chunk: Fields): Fields {
    const whole = chunk.choices === undefined ? withChoices(chunk) : chunk;
    const mended = mendChoices(whole, (choice) => this.#mendChoice(choice));
    return mended.object === 'chat.completion.done'
      ? { ...mended, object: 'chat.completion.chunk' }
      : mended;
  }

  #mendChoice(choice: Fields): Fields {
    const mended = mendSaid(choice, 'delta');
    const { message: _, ...rest } = mended;
    // The answer so far, beside what is new in it.
    const own = mended.delta !== undefined && mended.message !== undefined ? rest : mended;
    const shown = this.#hidesReasoning ? withoutReasoning(own, 'delta') : own;
    const calls = this.#choices.get(shown.index);
    return calls ? indexed(shown, calls) : this.#begun(shown);
  }

  /** The first piece of a choice says whose it is. */
  #begun(choice: Fields): Fields {
    const calls: Call[] = [];
    this.#choices.set(choice.index, calls);
    const delta = fields(choice.delta);
    const own = delta.role ? choice : { ...choice, delta: { ...delta, role: 'assistant' } };
    return indexed(own, calls);
  }
}

interface Call {
  readonly id: unknown;
  /** By which its provider speaks of it; undefined where it has none. */
  readonly index: unknown;
}

function indexed(choice: Fields, known: Call[]): Fields {
  const delta = fields(choice.delta);
  const calls = delta.tool_calls;
  if (!Array.isArray(calls) || calls.length === 0) return choice;
  const placed = calls.map((call) => placedIn(known, fields(call)));
  if (placed.every((call, at) => call === calls[at])) return choice;
  return { ...choice, delta: { ...delta, tool_calls: placed } };
}

/** A piece of a call with its index, and the first one with an id: some providers leave out either, or give two calls the same index. */
function placedIn(known: Call[], call: Fields): Fields {
  const { index: given, id } = call;
  const isNamed = typeof id === 'string' && id !== '';
  const before = known.findLastIndex((one) => given === undefined || one.index === given);
  const same = isNamed ? known.findIndex((one) => one.id === id) : before;
  // Another id that comes without a name is no other call.
  const at = same === -1 && before !== -1 && !fields(call.function).name ? before : same;
  if (at === -1) {
    const made = isNamed ? id : `call_${crypto.randomUUID()}`;
    const index = known.push({ id: made, index: given }) - 1;
    const isWhole = isNamed && index === given && call.type !== undefined;
    return isWhole ? call : { ...typed(call), index, id: made };
  }
  if (at === given && (id === undefined || id === known[at]?.id)) return call;
  const { id: _, ...rest } = call;
  return {
    ...(given === undefined ? typed(rest) : rest),
    index: at,
    ...(isNamed ? { id: known[at]?.id } : {}),
  };
}

/** A chunk that has no choices: one of usage alone, or an error in whichever form. */
function withChoices(chunk: Fields): Fields {
  if (chunk.error || chunk.base_resp) return chunk;
  const said = chunk.usage ? null : errorMessage(chunk);
  return said === null ? { ...chunk, choices: [] } : { ...chunk, error: { message: said } };
}

const reasoningMembers = ['reasoning', 'reasoning_content', 'reasoning_details'] as const;

/** A choice without what was thought: the same object where nothing of it is there. */
function withoutReasoning(choice: Fields, part: 'delta' | 'message'): Fields {
  const said = fields(choice[part]);
  if (reasoningMembers.every((name) => said[name] === undefined)) return choice;
  const { reasoning: _, reasoning_content: __, reasoning_details: ___, ...rest } = said;
  return { ...choice, [part]: rest };
}

/**
 * A whole answer as OpenAI has it: the same object where it is so; with an `error` where it says that it failed.
 * @param hidesReasoning the client does not want to see it
 */
export function mendAnswer(answer: Fields, hidesReasoning = false): Fields {
  return mendChoices(answer, (choice) => {
    const told = mendSaid(choice, 'message');
    const mended = hidesReasoning ? withoutReasoning(told, 'message') : told;
    const message = fields(mended.message);
    const calls = message.tool_calls;
    if (!Array.isArray(calls) || calls.every((call) => fields(call).type && fields(call).id))
      return mended;
    return { ...mended, message: { ...message, tool_calls: calls.map(named) } };
  });
}

function mendChoices(answer: Fields, mend: (choice: Fields) => Fields): Fields {
  const { status_code, status_msg } = fields(answer.base_resp);
  if (isNumber(status_code) && status_code !== 0)
    return { error: { message: String(status_msg ?? status_code), code: status_code } };
  if (!Array.isArray(answer.choices)) return answer;
  const before = answer.choices.map(fields);
  const failed = before.find(({ finish_reason }) => finishOf(finish_reason) === null);
  if (failed) return { error: { message: `The provider failed: ${failed.finish_reason}.` } };
  const choices = before.map(mend);
  return choices.every((choice, at) => choice === before[at]) ? answer : { ...answer, choices };
}

/** OpenAI's word, which for one that nobody knows is `stop`; null for a failure, undefined where it is that already, or none yet. */
function finishOf(reason: unknown): string | null | undefined {
  if (typeof reason !== 'string' || reason === '' || finishesOfOpenai.has(reason)) return undefined;
  return Object.hasOwn(finishes, reason) ? finishes[reason] : 'stop';
}

function mendSaid(choice: Fields, part: 'delta' | 'message'): Fields {
  const finish = finishOf(choice.finish_reason);
  const named =
    finish === undefined
      ? choice
      : { ...choice, finish_reason: finish, native_finish_reason: choice.finish_reason };
  const said = fields(choice[part]);
  const { reasoning_content, reasoning, content, ...rest } = said;
  if (reasoning_content === undefined && !Array.isArray(content)) return named;
  const parts = Array.isArray(content) ? content.map(fields) : null;
  const thought = parts
    ? parts.map(({ thinking }) => textOf(thinking)).join('')
    : (reasoning ?? reasoning_content);
  const text = parts ? parts.map(({ text }) => textOf(text)).join('') : content;
  const isThoughtAlone = parts !== null && text === '' && thought !== '';
  return {
    ...named,
    [part]: {
      ...rest,
      ...(text === undefined || (isThoughtAlone && part === 'delta')
        ? {}
        : { content: isThoughtAlone ? null : text }),
      ...(typeof thought === 'string' && thought !== '' ? { reasoning: thought } : {}),
    },
  };
}

function typed(call: unknown): Fields {
  return { type: 'function', ...fields(call) };
}

function named(call: unknown): Fields {
  return { ...typed(call), id: fields(call).id || `call_${crypto.randomUUID()}` };
}

/** Of a string, or of a list of parts. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map((part) => textOf(fields(part).text)).join('') : '';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}
