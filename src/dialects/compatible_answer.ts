/** Answers of providers that speak nearly OpenAI's form, made the same for all. */
import { type Fields, fields } from './members.ts';
import { EventSplitter } from './stream.ts';

/** What others say for OpenAI's finish reasons; null for a failure. */
const finishes: Readonly<Record<string, string | null>> = {
  eos: 'stop',
  model_length: 'length',
  sensitive: 'content_filter',
  insufficient_system_resource: null,
  network_error: null,
  error: null,
};

/** Reads a stream, and mends its chunks. */
export class ChunkMender extends EventSplitter {
  /** Ids of the calls of each choice, in the order of their indexes. */
  readonly #calls = new Map<unknown, unknown[]>();
  readonly #hidesReasoning: boolean;

  /** @param hidesReasoning the client does not want to see it */
  constructor(mostEventBytes: number, hidesReasoning = false) {
    super(mostEventBytes);
    this.#hidesReasoning = hidesReasoning;
  }

  /** A chunk as OpenAI has it: the same object where it is so. */
  mend(chunk: Fields): Fields {
    const mended = mendChoices(chunk, (choice) => this.#mendChoice(choice));
    return mended.object === 'chat.completion.done'
      ? { ...mended, object: 'chat.completion.chunk' }
      : mended;
  }

  #mendChoice(choice: Fields): Fields {
    const mended = mendSaid(choice, 'delta');
    const { message: _, ...rest } = mended;
    // The answer so far, beside what is new in it.
    const own = mended.delta !== undefined && mended.message !== undefined ? rest : mended;
    if (this.#hidesReasoning) return this.#indexed(withoutReasoning(own, 'delta'));
    return this.#indexed(own);
  }

  #indexed(own: Fields): Fields {
    const delta = fields(own.delta);
    const calls = delta.tool_calls;
    if (!Array.isArray(calls) || calls.every((call) => isNumber(fields(call).index))) return own;
    return { ...own, delta: { ...delta, tool_calls: calls.map((call) => this.#place(own, call)) } };
  }

  /** Gives a call its index: that of its id, or the next. */
  #place(choice: Fields, call: unknown): Fields {
    const known = this.#calls.get(choice.index) ?? [];
    this.#calls.set(choice.index, known);
    const { id } = fields(call);
    const begins = typeof id === 'string' && id !== '';
    let index = begins ? known.indexOf(id) : known.length - 1;
    if (index === -1) index = known.push(id) - 1;
    return { index, ...typed(call) };
  }
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
    if (!Array.isArray(calls) || calls.every((call) => fields(call).type !== undefined))
      return mended;
    return { ...mended, message: { ...message, tool_calls: calls.map(typed) } };
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

/** OpenAI's word; null for a failure, undefined where it is that already. */
function finishOf(reason: unknown): string | null | undefined {
  return typeof reason === 'string' && Object.hasOwn(finishes, reason)
    ? finishes[reason]
    : undefined;
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

/** Of a string, or of a list of parts. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map((part) => textOf(fields(part).text)).join('') : '';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}
