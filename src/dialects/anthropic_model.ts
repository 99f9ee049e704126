/**
 * What a Claude model understands, and how it is asked to think. The catalogue's constraints say what a model refuses; what
 * it has learned since is told by the generation in its name.
 */
import { type ChatTarget, Unsupported } from './dialect.ts';
import { type Fields, fields } from './members.ts';

export interface Abilities {
  /** `output_config.format`; else a tool is the form of a JSON answer. */
  readonly nativeFormat: boolean;
  readonly thinking: 'adaptive' | 'budget' | 'none';
  /** Adaptive models that also take a budget. */
  readonly takesBudget: boolean;
  /** From the least to the most. */
  readonly efforts: readonly string[];
  readonly thinkingCanBeDisabled: boolean;
  readonly sampling: boolean;
  readonly forcedTools: boolean;
}

const newest = 99;

/** 4.6 of `claude-opus-4-6`, 3.5 of `claude-3-5-sonnet-20241022`, 4 of `claude-sonnet-4-20250514`; a name without one is newer than all. */
function generationOf(upstreamModel: string): number {
  const found = /claude-(?:[a-z]+-)?(\d)(?:[-.](\d)(?!\d))?(?!\d)/.exec(upstreamModel);
  return found ? Number(`${found[1]}.${found[2] ?? 0}`) : newest;
}

export function abilitiesOf({ upstreamModel, constraints }: ChatTarget): Abilities {
  const generation = generationOf(upstreamModel);
  const takesBudget = generation >= 3.7 && !constraints.includes('rejects_thinking_budget_tokens');
  const isAdaptive = generation >= 4.6;
  return {
    nativeFormat: generation >= 4.5,
    thinking: isAdaptive ? 'adaptive' : takesBudget ? 'budget' : 'none',
    takesBudget,
    efforts:
      generation >= 4.7
        ? ['low', 'medium', 'high', 'xhigh', 'max']
        : ['low', 'medium', 'high', 'max'],
    thinkingCanBeDisabled: !constraints.includes('thinking_cannot_be_disabled'),
    sampling: !constraints.includes('rejects_sampling_params'),
    forcedTools: !constraints.includes('rejects_forced_tool_choice'),
  };
}

/** What a client wants of reasoning, under whichever name it said so. */
export interface ReasoningWish {
  /** null: it did not say. */
  readonly enabled: boolean | null;
  readonly effort: string | null;
  /** Tokens. */
  readonly budget: number | null;
  /** The reasoning is not to be shown. */
  readonly exclude: boolean;
  /** It is to be shown where there is any. */
  readonly include: boolean;
}

/** `reasoning_effort`, OpenRouter's `reasoning` and `include_reasoning`, Anthropic's own `thinking`. */
export function reasoningWish(parsed: Fields): ReasoningWish {
  const reasoning = fields(parsed.reasoning);
  const thinking = fields(parsed.thinking);
  const effort = reasoning.effort ?? parsed.reasoning_effort;
  const budget = reasoning.max_tokens ?? thinking.budget_tokens;
  const isOff =
    effort === 'none' ||
    reasoning.enabled === false ||
    thinking.type === 'disabled' ||
    budget === 0;
  const isOn =
    typeof effort === 'string' ||
    typeof budget === 'number' ||
    reasoning.enabled === true ||
    thinking.type === 'enabled' ||
    thinking.type === 'adaptive';
  return {
    enabled: isOff ? false : isOn ? true : null,
    effort: typeof effort === 'string' && !isOff ? effort : null,
    budget: typeof budget === 'number' && !isOff ? budget : null,
    exclude: reasoning.exclude === true || parsed.include_reasoning === false,
    include: parsed.include_reasoning === true,
  };
}

/** Of the answer's limit; a budget in between is what vendors that know no effort are commonly given. */
const effortShares: Readonly<Record<string, number>> = {
  minimal: 0.1,
  low: 0.2,
  medium: 0.5,
  high: 0.8,
  xhigh: 0.95,
  max: 0.95,
};
const efforts = ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'];
const usualShare = 0.5;
const leastBudget = 1024;
/** What is left for the answer itself. */
const leastAnswer = 256;

export interface Thinking {
  readonly thinking: Fields | null;
  readonly effort: string | null;
  /** The model thinks, as far as we know: sampling parameters are refused then. */
  readonly isOn: boolean;
}

const notSaid: Thinking = { thinking: null, effort: null, isOn: false };

/**
 * @param maxTokens limit of the answer, its reasoning included
 * @throws Unsupported
 * @param mustNot thinking may not be switched on by budget: a forced tool, or a history without its thinking
 */
export function thinkingOf(
  wish: ReasoningWish,
  abilities: Abilities,
  maxTokens: number,
  mustNot: boolean,
): Thinking {
  if (wish.effort !== null && !efforts.includes(wish.effort))
    throw new Unsupported(`The effort must be one of ${efforts.join(', ')}.`, 'reasoning_effort');
  if (abilities.thinking === 'none') {
    if (wish.enabled !== true) return notSaid;
    throw new Unsupported('This model does not reason.', 'reasoning_effort');
  }
  const always = !abilities.thinkingCanBeDisabled;
  if (wish.enabled === false)
    return always
      ? { thinking: null, effort: 'low', isOn: true }
      : { thinking: { type: 'disabled' }, effort: null, isOn: false };
  if (wish.enabled === null && !(always && (wish.include || wish.exclude)))
    return { ...notSaid, isOn: always };
  if (mustNot && !always) return notSaid;
  if (abilities.takesBudget && (wish.budget !== null || abilities.thinking === 'budget')) {
    const share = effortShares[wish.effort ?? ''] ?? usualShare;
    const most = maxTokens - leastAnswer;
    const budget = Math.min(
      Math.max(wish.budget ?? Math.floor(maxTokens * share), leastBudget),
      most,
    );
    if (budget < leastBudget) return notSaid;
    return { thinking: { type: 'enabled', budget_tokens: budget }, effort: null, isOn: true };
  }
  return {
    thinking: { type: 'adaptive', display: wish.exclude ? 'omitted' : 'summarized' },
    effort: wish.effort && nearestEffort(wish.effort, abilities.efforts),
    isOn: true,
  };
}

/** The model's own, or the next below it. */
function nearestEffort(wanted: string, known: readonly string[]): string {
  const at = efforts.indexOf(wanted);
  const below = known.findLast((effort) => efforts.indexOf(effort) <= at);
  return below ?? 'low';
}
