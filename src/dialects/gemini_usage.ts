/** Gemini's usage as OpenAI counts: what is in it beside the known must be seen, not lost. */
import { type Fields, fields } from './members.ts';

/** Tokens by modality, as members of OpenAI's details. Video and pages of documents cost what text costs, and stay in the sum. */
function byModality(details: unknown, into: Record<string, number> = {}): Record<string, number> {
  for (const entry of Array.isArray(details) ? details : []) {
    const { modality, tokenCount } = fields(entry);
    if (typeof tokenCount !== 'number' || modality === 'VIDEO' || modality === 'DOCUMENT') continue;
    const name = `${String(modality).toLowerCase()}_tokens`;
    into[name] = (into[name] ?? 0) + tokenCount;
  }
  return into;
}

/** Members that are read here, or say nothing of what is to be paid. */
const known: ReadonlySet<string> = new Set([
  'promptTokenCount',
  'cachedContentTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'toolUsePromptTokenCount',
  'totalTokenCount',
  'promptTokensDetails',
  'cacheTokensDetails',
  'candidatesTokensDetails',
  'toolUsePromptTokensDetails',
  // What the prompt was before a long answer was continued.
  'initialPromptTokenCount',
]);

/** 0 where it is left out. Nonsense must not vanish in a sum: with it the usage as a whole is none. */
function count(value: unknown): number {
  if (value === undefined || value === null) return 0;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : Number.NaN;
}

/** Some events say only what kind of traffic they are. */
export function hasCounts(metadata: unknown): boolean {
  const { promptTokenCount, totalTokenCount } = fields(metadata);
  return promptTokenCount !== undefined || totalTokenCount !== undefined;
}

/** @param metadata `usageMetadata`; of a stream the last with counts, which are sums @returns null where it has none */
export function usageOf(metadata: unknown): Fields | null {
  const usage = fields(metadata);
  if (!hasCounts(metadata)) return null;
  const prompt = count(usage.promptTokenCount) + count(usage.toolUsePromptTokenCount);
  const completion = count(usage.candidatesTokenCount) + count(usage.thoughtsTokenCount);
  const cached = byModality(usage.cacheTokensDetails);
  const asked = byModality(usage.toolUsePromptTokensDetails, byModality(usage.promptTokensDetails));
  const unknown = Object.entries(usage).filter(
    ([name, value]) => !known.has(name) && typeof value !== 'string' && value !== null,
  );
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: usage.totalTokenCount ?? prompt + completion,
    prompt_tokens_details: {
      cached_tokens: usage.cachedContentTokenCount ?? 0,
      ...asked,
      ...(Object.keys(cached).length > 0 ? { cached_tokens_details: cached } : {}),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.thoughtsTokenCount ?? 0,
      ...byModality(usage.candidatesTokensDetails),
    },
    ...Object.fromEntries(unknown),
  };
}
