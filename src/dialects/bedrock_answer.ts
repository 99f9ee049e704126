/** Converse's answers in Anthropic's words, which the readers of that dialect understand. */
import { completionOf } from './anthropic_answer.ts';
import { type ChatBody, Unreadable, Wasted } from './dialect.ts';
import { type Fields, fields } from './members.ts';

const stopReasons: Readonly<Record<string, string>> = {
  content_filtered: 'refusal',
  guardrail_intervened: 'refusal',
};

/** The model went wrong: another try may do better. */
const failures: ReadonlySet<unknown> = new Set(['malformed_model_output', 'malformed_tool_use']);

/** @returns null for an answer that is none */
export function stopReasonOf(reason: unknown): string | null {
  return failures.has(reason) ? null : (stopReasons[String(reason)] ?? String(reason));
}

/** `inputTokens` are beside those of the caches; `cacheDetails` tells how long what was written is kept. */
export function usageFrom(raw: unknown): Fields {
  const {
    inputTokens,
    outputTokens,
    totalTokens: _,
    cacheReadInputTokens,
    cacheReadInputTokenCount,
    cacheWriteInputTokens,
    cacheWriteInputTokenCount,
    cacheDetails,
    serverToolUsage,
    ...others
  } = fields(raw);
  const kept = Array.isArray(cacheDetails) ? cacheDetails.map(fields) : [];
  const lasting = kept.find(({ ttl }) => ttl === '1h')?.inputTokens;
  const brief = kept.find(({ ttl }) => ttl === '5m')?.inputTokens;
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cache_read_input_tokens: cacheReadInputTokens ?? cacheReadInputTokenCount,
    cache_creation_input_tokens: cacheWriteInputTokens ?? cacheWriteInputTokenCount,
    ...(kept.length === 0
      ? {}
      : {
          cache_creation: {
            ephemeral_5m_input_tokens: brief ?? 0,
            ephemeral_1h_input_tokens: lasting ?? 0,
          },
        }),
    // Of tools that run at Amazon, which nobody can ask for here: seen in review if there is any.
    ...(Object.keys(fields(serverToolUsage)).length > 0
      ? { server_tool_use: serverToolUsage }
      : {}),
    ...others,
  };
}

function blockFrom(block: Fields): Fields | null {
  const { text, toolUse, reasoningContent } = block;
  if (typeof text === 'string') return { type: 'text', text };
  if (toolUse !== undefined) {
    const { toolUseId: id, name, input } = fields(toolUse);
    return { type: 'tool_use', id, name, input };
  }
  const { reasoningText, redactedContent } = fields(reasoningContent);
  if (redactedContent !== undefined) return { type: 'redacted_thinking', data: redactedContent };
  if (reasoningText === undefined) return null;
  const { text: thinking, signature } = fields(reasoningText);
  return { type: 'thinking', thinking, ...(signature === undefined ? {} : { signature }) };
}

/** @throws Unreadable */
export function readConverse(text: string, body: ChatBody): string {
  let answer: Fields;
  try {
    answer = fields(JSON.parse(text));
  } catch (cause) {
    throw new Unreadable('the answer is not JSON', { cause });
  }
  const { output, stopReason, usage } = answer;
  const { content } = fields(fields(output).message);
  if (!Array.isArray(content)) throw new Unreadable('the answer is no message');
  const stop_reason = stopReasonOf(stopReason);
  if (stop_reason === null) throw new Wasted(`the model failed: ${stopReason}`);
  const message = {
    id: '',
    model: '',
    content: content.flatMap((block) => blockFrom(fields(block)) ?? []),
    stop_reason,
    usage: usageFrom(usage),
  };
  return completionOf(message, body);
}
