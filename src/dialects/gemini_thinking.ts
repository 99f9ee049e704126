/** How much Gemini models think: what a client's wish becomes, by the generation of the model. */
import { Unsupported } from './dialect.ts';
import { type Fields, fields } from './members.ts';

export interface ThinkingConfig {
  readonly includeThoughts?: boolean;
  /** Generation 3 and later. */
  readonly thinkingLevel?: string;
  /** Tokens; before generation 3. */
  readonly thinkingBudget?: number;
}

const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
type Effort = (typeof efforts)[number];

interface Wish {
  readonly effort: Effort | null;
  /** Tokens. */
  readonly budget: number | null;
  /** The client does not want to read it. */
  readonly isHidden: boolean;
  /** The parameter that says so. */
  readonly param: string;
}

/** 3.8 of `gemini-3.8-flash`. A name without a number, such as `gemini-flash-latest`, is the newest of all. */
export function generationOf(model: string): number {
  const number = /gemini-(\d+(?:\.\d+)?)/.exec(model)?.[1];
  return number === undefined ? Number.POSITIVE_INFINITY : Number(number);
}

/** From 2.5 on; those that only make images or speech refuse the very word. */
function thinks(model: string): boolean {
  return generationOf(model) >= 2.5 && !/image|tts|audio|transcribe|embedding/.test(model);
}

/**
 * `reasoning: {effort, max_tokens, enabled, exclude}` and `include_reasoning` as OpenRouter has them, or OpenAI's
 * `reasoning_effort`.
 * @returns null where nothing is to be said
 * @throws Unsupported
 */
export function thinkingConfig(parsed: Fields, model: string): ThinkingConfig | null {
  const wish = wishOf(parsed);
  const { effort, budget, isHidden, param } = wish;
  if (!thinks(model)) {
    if (budget === null && (effort === null || effort === 'none')) return null;
    throw new Unsupported(`"${param}" is not supported: this model does not reason.`, param);
  }
  const amount = amountOf(wish, model);
  const isShown = !isHidden && effort !== 'none';
  if (!isShown && amount === null) return null;
  return { ...(isShown ? { includeThoughts: true } : {}), ...amount };
}

function wishOf(parsed: Fields): Wish {
  const { effort, max_tokens, enabled, exclude } = fields(parsed.reasoning);
  const isOwn = effort !== undefined && effort !== null;
  const given = isOwn ? effort : parsed.reasoning_effort;
  const param = isOwn || max_tokens ? 'reasoning' : 'reasoning_effort';
  const known = efforts.find((name) => name === given) ?? null;
  if (given !== undefined && given !== null && known === null)
    throw new Unsupported(`"${param}" must be one of ${efforts.join(', ')}.`, param);
  return {
    effort: enabled === false ? 'none' : known,
    budget: typeof max_tokens === 'number' && enabled !== false ? max_tokens : null,
    isHidden: exclude === true || parsed.include_reasoning === false,
    param,
  };
}

function amountOf({ effort, budget }: Wish, model: string): ThinkingConfig | null {
  if (effort === null && budget === null) return null;
  if (generationOf(model) >= 3) return { thinkingLevel: levelOf(effort, budget, model) };
  const { least, most, isStoppable } = budgetsOf(model);
  if (budget === null && effort === 'none' && isStoppable) return { thinkingBudget: 0 };
  const wanted = budget ?? budgetOfEffort[effort ?? 'medium'];
  return { thinkingBudget: Math.min(Math.max(wanted, least), most) };
}

/** As Google's own OpenAI endpoint counts low, medium and high; the others go to what a model allows. */
const budgetOfEffort: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 512,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
};

function budgetsOf(model: string): { least: number; most: number; isStoppable: boolean } {
  if (/pro/.test(model)) return { least: 128, most: 32_768, isStoppable: false };
  return { least: /lite/.test(model) ? 512 : 1, most: 24_576, isStoppable: true };
}

/** The nearest level that the model has: from generation 3 on none can be kept from thinking. */
function levelOf(effort: Effort | null, budget: number | null, model: string): string {
  const generation = generationOf(model);
  const lowest =
    /lite/.test(model) || (/flash/.test(model) && generation < 3.7) ? 'minimal' : 'low';
  const highest = /gemini-4-hydrogen/.test(model) ? 'xhigh' : 'high';
  if (budget !== null) {
    if (budget < budgetOfEffort.low) return lowest;
    return budget < budgetOfEffort.medium
      ? 'low'
      : budget < budgetOfEffort.high
        ? 'medium'
        : 'high';
  }
  if (effort === 'none' || effort === 'minimal') return lowest;
  if (effort === 'xhigh' || effort === 'max') return highest;
  return effort ?? 'medium';
}
