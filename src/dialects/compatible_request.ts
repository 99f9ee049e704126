/** What is edited in a client's request for a provider with quirks. Its messages and tools are written anew only where they must be. */
import { hash } from 'node:crypto';
import { reasoningWish } from './anthropic_model.ts';
import { Unsupported } from './dialect.ts';
import { type Edits, type Fields, fields } from './members.ts';
import { effortEdits } from './openai_model.ts';
import type { Quirks } from './quirks.ts';

/**
 * Refused where a provider lacks them, because something else would be answered: by name, whether the value asks for anything.
 * What is not here only tunes, and is left out.
 */
const changesAnswer: Readonly<Record<string, (value: unknown, parsed: Fields) => boolean>> = {
  n: (value) => typeof value === 'number' && value > 1,
  logprobs: (value) => value === true,
  top_logprobs: (value) => typeof value === 'number' && value > 0,
  logit_bias: (value) => Object.keys(fields(value)).length > 0,
  stop: (value) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0),
  tools: (value) => Array.isArray(value) && value.length > 0,
  parallel_tool_calls: (value, { tools }) => value === false && Array.isArray(tools),
  response_format: (value) => value !== null && fields(value).type !== 'text',
  functions: (value) => Array.isArray(value) && value.length > 0,
  function_call: (value) => value !== null && value !== 'none',
};

/** @throws Unsupported */
export function quirkEdits(parsed: Fields, quirks: Quirks): Edits {
  const { tools, tool_choice, messages, temperature, stream } = parsed;
  const edits: Record<string, Edits[string]> = {};
  Object.assign(edits, reasoningEdits(parsed, quirks));
  const range = quirks.temperature;
  if (range && typeof temperature === 'number')
    edits.temperature = String(Math.min(Math.max(temperature, range[0]), range[1]));
  if (Array.isArray(messages)) {
    const mended = messagesFor(messages, quirks);
    if (mended !== messages) edits.messages = JSON.stringify(mended);
  }
  const hasTools = Array.isArray(tools) && tools.length > 0;
  if (hasTools) Object.assign(edits, toolEdits(tools, tool_choice, quirks));
  if (hasTools && stream === true)
    for (const [name, value] of Object.entries(quirks.streamedTools ?? {}))
      edits[name] = JSON.stringify(value);
  for (const [name, own] of Object.entries(quirks.renames ?? {})) {
    if (parsed[name] === undefined) continue;
    edits[name] = null;
    edits[own] = JSON.stringify(parsed[name]);
  }
  return { ...edits, ...lackingEdits(parsed, quirks) };
}

/** Written by the gateway whatever the client said. */
const written: ReadonlySet<string> = new Set(['max_tokens', 'max_completion_tokens']);

/** @throws Unsupported */
function lackingEdits(parsed: Fields, { lacks, takes, renames }: Quirks): Edits {
  const edits: Record<string, null> = {};
  for (const name in parsed) {
    const isTaken = takes === undefined || takes.includes(name);
    if ((isTaken && !lacks?.includes(name)) || written.has(name)) continue;
    if (renames?.[name] !== undefined) continue;
    if (Object.hasOwn(changesAnswer, name) && changesAnswer[name]?.(parsed[name], parsed))
      throw new Unsupported(`"${name}" is not supported by this provider.`, name);
    edits[name] = null;
  }
  if (takes && !takes.includes('stream_options')) edits.stream_options = null;
  return edits;
}

/** The wish for reasoning, in the provider's own words. */
function reasoningEdits(parsed: Fields, { reasoning: form }: Quirks): Edits {
  if (!form) return effortEdits(parsed);
  const { enabled, effort, budget } = reasoningWish(parsed);
  const edits: Record<string, Edits[string]> = {};
  for (const name of ['reasoning', 'include_reasoning'])
    if (parsed[name] !== undefined) edits[name] = null;
  if (enabled === null) return edits;
  if (parsed.reasoning_effort !== undefined) edits.reasoning_effort = null;
  for (const [name, value] of Object.entries(enabled ? form.on : form.off)) {
    // Its own words, where the client used them, say more.
    if (parsed[name] === undefined || edits[name] === null) edits[name] = JSON.stringify(value);
  }
  if (form.effort && effort !== null) edits.reasoning_effort = JSON.stringify(effort);
  if (form.budget !== undefined && budget !== null) edits[form.budget] = String(budget);
  return edits;
}

/** @throws Unsupported */
function toolEdits(tools: readonly unknown[], wanted: unknown, quirks: Quirks): Edits {
  const edits: Record<string, string | null> = {};
  let offered = tools;
  if (quirks.customTools === false && tools.some((tool) => fields(tool).type !== 'function'))
    throw new Unsupported('This provider knows no tools but functions.', 'tools');
  if (quirks.toolChoices) {
    const { choice, allowed } = choiceOf(wanted);
    if (choice === 'none' && !quirks.toolChoices.includes('none'))
      // Whoever may call none needs to know of none.
      return { tools: null, tool_choice: null };
    const kind = typeof choice === 'string' ? choice : 'named';
    if ((kind === 'required' || kind === 'named') && !quirks.toolChoices.includes(kind))
      throw new Unsupported('This provider cannot be made to call a tool.', 'tool_choice');
    if (allowed) {
      offered = tools.filter((tool) => allowed.has(fields(fields(tool).function).name));
      edits.tool_choice = JSON.stringify(choice);
    }
  }
  if (quirks.strictTools === false) offered = offered.map(withoutStrict);
  if (offered.length !== tools.length || offered.some((tool, at) => tool !== tools[at]))
    edits.tools = JSON.stringify(offered);
  return edits;
}

interface Choice {
  readonly choice: unknown;
  /** Names of the tools that may be called; null for all. */
  readonly allowed: ReadonlySet<unknown> | null;
}

function choiceOf(wanted: unknown): Choice {
  if (wanted === undefined || wanted === null) return { choice: 'auto', allowed: null };
  const { type, allowed_tools } = fields(wanted);
  const { mode, tools } = fields(allowed_tools);
  if (type !== 'allowed_tools' || !Array.isArray(tools)) return { choice: wanted, allowed: null };
  const names = tools.map((tool) => fields(fields(tool).function).name);
  return { choice: mode === 'required' ? 'required' : 'auto', allowed: new Set(names) };
}

function withoutStrict(tool: unknown): unknown {
  const { strict, ...rest } = fields(fields(tool).function);
  return strict === undefined ? tool : { ...fields(tool), function: rest };
}

function messagesFor(messages: readonly unknown[], quirks: Quirks): readonly unknown[] {
  const mended = messages.map((message) => messageFor(message, quirks));
  const turns = quirks.alternatingRoles ? alternating(mended) : mended;
  const isSame =
    turns.length === messages.length && turns.every((message, at) => message === messages[at]);
  return isSame ? messages : turns;
}

/** What every provider knows of a message. */
const plainMembers: ReadonlySet<string> = new Set([
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
  'reasoning_content',
  'reasoning',
]);

const callMembers: ReadonlySet<string> = new Set(['id', 'type', 'function']);

/** The same object where nothing has to be changed. */
function messageFor(message: unknown, quirks: Quirks): unknown {
  let mended = fields(message);
  if (quirks.developerRole === false && mended.role === 'developer')
    mended = { ...mended, role: 'system' };
  if (mended.role === 'assistant') mended = withReasoning(mended, quirks);
  if (quirks.shortCallIds) mended = withShortIds(mended);
  if (quirks.strictMessages) mended = plain(mended);
  return mended === fields(message) ? message : mended;
}

function plain(message: Fields): Fields {
  const isKnown = Object.keys(message).every((name) => plainMembers.has(name));
  const known = isKnown ? message : only(message, plainMembers);
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.map(fields) : [];
  if (calls.every((call) => Object.keys(call).every((name) => callMembers.has(name)))) return known;
  return { ...known, tool_calls: calls.map((call) => only(call, callMembers)) };
}

function only(value: Fields, names: ReadonlySet<string>): Fields {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.has(name)));
}

/** Reasoning that a client brings back, where this provider looks for it. */
function withReasoning(message: Fields, { reasoningMember }: Quirks): Fields {
  const { reasoning, reasoning_content, reasoning_details, ...rest } = message;
  const names = ['reasoning', 'reasoning_content', 'reasoning_details'];
  if (names.every((name) => name === reasoningMember || message[name] === undefined))
    return message;
  const thought = reasoning ?? reasoning_content;
  if (typeof thought !== 'string' || thought === '' || reasoningMember === undefined) return rest;
  if (reasoningMember !== 'content') return { ...rest, [reasoningMember]: thought };
  const { content } = rest;
  const said = Array.isArray(content)
    ? content
    : typeof content === 'string' && content !== ''
      ? [{ type: 'text', text: content }]
      : [];
  const thinking = { type: 'thinking', thinking: [{ type: 'text', text: thought }] };
  return { ...rest, content: [thinking, ...said] };
}

function withShortIds(message: Fields): Fields {
  const { tool_calls, tool_call_id } = message;
  const own = typeof tool_call_id === 'string' ? shortId(tool_call_id) : tool_call_id;
  const calls = Array.isArray(tool_calls) ? tool_calls.map(fields) : [];
  const isFit = own === tool_call_id && calls.every(({ id }) => id === shortId(String(id)));
  if (isFit) return message;
  return {
    ...message,
    ...(own === undefined ? {} : { tool_call_id: own }),
    ...(calls.length === 0
      ? {}
      : { tool_calls: calls.map((call) => ({ ...call, id: shortId(String(call.id)) })) }),
  };
}

/** Nine letters and digits: the id itself where it is so, else the same for the same id. */
export function shortId(id: string): string {
  return /^[A-Za-z0-9]{9}$/.test(id) ? id : hash('sha256', id).slice(0, 9);
}

/** Joins what one of the two says in a row. */
function alternating(messages: readonly unknown[]): readonly unknown[] {
  const turns: unknown[] = [];
  for (const message of messages) {
    const before = fields(turns.at(-1));
    const { role, content } = fields(message);
    if (turns.length === 0 || role === 'system' || before.role !== role) turns.push(message);
    else turns[turns.length - 1] = { ...before, content: joined(before.content, content) };
  }
  return turns;
}

function joined(first: unknown, second: unknown): unknown {
  if (typeof first === 'string' && typeof second === 'string') return `${first}\n\n${second}`;
  return [...partsOf(first), ...partsOf(second)];
}

function partsOf(content: unknown): readonly unknown[] {
  if (Array.isArray(content)) return content;
  return typeof content === 'string' ? [{ type: 'text', text: content }] : [];
}
