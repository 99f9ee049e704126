/** What a model at Bedrock understands, by who made it: Converse has one word for all of them, and not all know each word. */
import { type Abilities, abilitiesOf, reasoningWish } from './anthropic_model.ts';
import { type ChatTarget, Unsupported } from './dialect.ts';
import type { Fields } from './members.ts';

type Maker = 'anthropic' | 'gpt' | 'gpt-oss' | 'nova' | 'nova-2' | 'other';

/** `global.anthropic.claude-opus-5`: a region may stand in front. */
function makerOf(upstreamModel: string): Maker {
  if (/(?:^|\.)anthropic\./.test(upstreamModel)) return 'anthropic';
  if (/(?:^|\.)openai\.gpt-oss-/.test(upstreamModel)) return 'gpt-oss';
  if (/(?:^|\.)openai\./.test(upstreamModel)) return 'gpt';
  if (/(?:^|\.)amazon\.nova-2-/.test(upstreamModel)) return 'nova-2';
  return /(?:^|\.)amazon\.nova-/.test(upstreamModel) ? 'nova' : 'other';
}

export interface Powers extends Abilities {
  /** It can be told where its prompt may be cached. */
  readonly caches: boolean;
  readonly stops: boolean;
  /** Mistral's ids of calls have nine letters or digits. */
  readonly shortCallIds: boolean;
  readonly isClaude: boolean;
}

export function powersOf(target: ChatTarget): Powers {
  const { upstreamModel, constraints } = target;
  const maker = makerOf(upstreamModel);
  const isClaude = maker === 'anthropic';
  const isNova = maker === 'nova' || maker === 'nova-2';
  const own = isClaude ? abilitiesOf(target) : withoutThinking;
  return {
    ...own,
    // Bedrock checks requests against a copy of its own, in which the form of answers is not known for all.
    nativeFormat: false,
    sampling: isClaude
      ? own.sampling
      : maker !== 'gpt' && !constraints.includes('rejects_sampling_params'),
    forcedTools: isClaude ? own.forcedTools : isNova,
    caches: isClaude || isNova,
    stops: maker !== 'gpt' && maker !== 'gpt-oss',
    shortCallIds: /(?:^|\.)mistral\./.test(upstreamModel),
    isClaude,
  };
}

const withoutThinking: Abilities = {
  nativeFormat: false,
  thinking: 'none',
  takesBudget: false,
  efforts: [],
  thinkingCanBeDisabled: true,
  sampling: true,
  forcedTools: false,
};

/** By the client's word; Nova takes no limit of the answer with a high effort, and a hold needs that limit. */
const efforts: Readonly<Record<'gpt-oss' | 'nova-2', Readonly<Record<string, string>>>> = {
  'gpt-oss': {
    minimal: 'low',
    low: 'low',
    medium: 'medium',
    high: 'high',
    xhigh: 'high',
    max: 'high',
  },
  'nova-2': {
    minimal: 'low',
    low: 'low',
    medium: 'medium',
    high: 'medium',
    xhigh: 'medium',
    max: 'medium',
  },
};
const usualEffort = 'medium';
/** Tokens up to which a budget is that effort. */
const budgets = [
  ['low', 1024],
  ['medium', 8192],
] as const;

/**
 * The wish for reasoning in the words of makers other than Anthropic: members of `additionalModelRequestFields`.
 * @throws Unsupported where the maker has no word for it, so that another offer of the model is asked
 */
export function reasoningFields(parsed: Fields, target: ChatTarget): Fields {
  const { enabled, effort, budget } = reasoningWish(parsed);
  const { upstreamModel, constraints } = target;
  const maker = makerOf(upstreamModel);
  const asked =
    effort ??
    (budget === null ? usualEffort : (budgets.find(([, most]) => budget <= most)?.[0] ?? 'high'));
  if (maker === 'gpt') return gptReasoning(enabled, asked, parsed, constraints);
  if (enabled === null || maker === 'anthropic') return {};
  if (maker === 'nova-2' && !enabled) return { reasoningConfig: { type: 'disabled' } };
  if (enabled && (maker === 'nova-2' || maker === 'gpt-oss')) {
    const level = efforts[maker][asked];
    if (level === undefined)
      throw new Unsupported(
        `The effort ${JSON.stringify(asked)} is not known.`,
        'reasoning_effort',
      );
    return maker === 'gpt-oss'
      ? { reasoning_effort: level }
      : { reasoningConfig: { type: 'enabled', maxReasoningEffort: level } };
  }
  throw new Unsupported(
    'How much this model reasons cannot be chosen at this provider.',
    'reasoning_effort',
  );
}

/** @throws Unsupported */
function gptReasoning(
  enabled: boolean | null,
  asked: string,
  { tools }: Fields,
  constraints: readonly string[],
): Fields {
  const callsNone =
    Array.isArray(tools) &&
    tools.length > 0 &&
    constraints.includes('rejects_tools_with_reasoning');
  if (callsNone && enabled === true)
    throw new Unsupported('This model calls no tools while it reasons.', 'reasoning_effort');
  if (callsNone) return { reasoning: { effort: 'none' } };
  if (enabled === null) return {};
  const least = constraints.includes('thinking_cannot_be_disabled') ? 'low' : 'none';
  return { reasoning: { effort: enabled ? asked : least } };
}
