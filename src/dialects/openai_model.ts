/** What a model refuses although OpenAI's form has a word for it, and how it is asked to reason. */
import { reasoningWish } from './anthropic_model.ts';
import { Unsupported } from './dialect.ts';
import { type Edits, type Fields, fields } from './members.ts';

/** Tokens up to which a budget is that effort; beyond them all it is high. */
const budgets = [
  ['low', 1024],
  ['medium', 8192],
] as const;

/** OpenRouter's `reasoning` and `include_reasoning` as `reasoning_effort`, which is all that OpenAI knows. */
export function effortEdits(parsed: Fields): Edits {
  if (parsed.reasoning === undefined && parsed.include_reasoning === undefined) return {};
  const edits: Record<string, string | null> = {};
  for (const name of ['reasoning', 'include_reasoning'])
    if (parsed[name] !== undefined) edits[name] = null;
  const { enabled, effort, budget } = reasoningWish(parsed);
  const level =
    effort ??
    (budget === null ? null : (budgets.find(([, most]) => budget <= most)?.[0] ?? 'high'));
  if (enabled === false) edits.reasoning_effort = '"none"';
  else if (level !== null) edits.reasoning_effort = JSON.stringify(level);
  return edits;
}

/** Left out where a model takes none. */
const sampling = ['temperature', 'top_p', 'top_k', 'frequency_penalty', 'presence_penalty'];

function hasAudio(messages: unknown): boolean {
  const list = Array.isArray(messages) ? messages : [];
  return list.some((message) => {
    const { content } = fields(message);
    return Array.isArray(content) && content.some((part) => fields(part).type === 'input_audio');
  });
}

/** What has to be edited for a model with constraints. @throws Unsupported */
export function constraintEdits(parsed: Fields, constraints: readonly string[]): Edits {
  const edits: Record<string, string | null> = {};
  if (constraints.includes('needs_audio') && !hasAudio(parsed.messages))
    throw new Unsupported('This model answers prompts with sound only.', 'messages');
  const { enabled } = reasoningWish(parsed);
  const { tools, tool_choice, logprobs, logit_bias } = parsed;
  if (enabled === false && constraints.includes('thinking_cannot_be_disabled'))
    edits.reasoning_effort = '"low"';
  const rejectsSampling =
    constraints.includes('rejects_sampling_params') ||
    (enabled !== false && constraints.includes('rejects_sampling_params_with_reasoning'));
  if (rejectsSampling) {
    for (const name of sampling) if (parsed[name] !== undefined) edits[name] = null;
    if (logprobs === true)
      throw new Unsupported('This model gives no log probabilities.', 'logprobs');
    if (Object.keys(fields(logit_bias)).length > 0)
      throw new Unsupported('This model takes no bias of tokens.', 'logit_bias');
  }
  const { type, allowed_tools } = fields(tool_choice);
  const isForced =
    tool_choice === 'required' ||
    type === 'function' ||
    type === 'custom' ||
    fields(allowed_tools).mode === 'required';
  if (isForced && constraints.includes('rejects_forced_tool_choice'))
    throw new Unsupported('This model cannot be made to call a tool.', 'tool_choice');
  if (
    Array.isArray(tools) &&
    tools.length > 0 &&
    constraints.includes('rejects_tools_with_reasoning')
  ) {
    if (enabled === true)
      throw new Unsupported('This model calls no tools while it reasons.', 'reasoning_effort');
    edits.reasoning_effort = '"none"';
  }
  return edits;
}
