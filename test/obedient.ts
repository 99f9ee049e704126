/** A provider that keeps to the cap it is given, and says truly what it used: a token is four bytes of text. */
import type { Behaviour, Received } from './hostile.ts';
import { chunk, completion, sse, whole } from './hostile_behaviours.ts';

interface Obedience {
  /** Tokens of an answer that no cap cuts, for each choice. */
  readonly tokens: number;
  readonly promptTokens?: number;
  /** Of the tokens, those that are thought and not shown. */
  readonly reasoning?: number;
  /** Tokens of text in one event of a stream. */
  readonly tokensPerEvent?: number;
  readonly paceMs?: number;
  readonly delayMs?: number;
}

/** The cap for one choice that a request brought; infinite where it brought none. */
export function capIn({ body }: Received): number {
  const cap = body?.max_completion_tokens ?? body?.max_tokens;
  return typeof cap === 'number' ? cap : Number.POSITIVE_INFINITY;
}

const token = 'word';

export function obedient(options: Obedience): Behaviour {
  return (received) => {
    const { promptTokens = 24, reasoning = 0, tokensPerEvent = 64, delayMs = 0 } = options;
    const cap = capIn(received);
    const tokens = Math.min(options.tokens, cap);
    const thought = Math.min(reasoning, tokens);
    const finish = tokens < options.tokens ? 'length' : 'stop';
    const visible = tokens - thought;
    const usage = {
      prompt_tokens: promptTokens,
      completion_tokens: tokens,
      total_tokens: promptTokens + tokens,
      completion_tokens_details: { reasoning_tokens: thought },
    };
    if (received.body?.stream !== true) {
      const message = { role: 'assistant', content: token.repeat(visible) };
      const choices = [{ index: 0, message, finish_reason: finish }];
      return [{ waitMs: delayMs }, whole(completion('', { choices, usage }))];
    }
    return sse(events(visible, tokensPerEvent, finish, usage), {
      delayMs,
      paceMs: options.paceMs ?? 0,
    });
  };
}

function* events(
  visible: number,
  perEvent: number,
  finish: string,
  usage: object,
): Generator<string> {
  yield `data: ${chunk({ role: 'assistant', content: '' })}`;
  for (let sent = 0; sent < visible; sent += perEvent)
    yield `data: ${chunk({ content: token.repeat(Math.min(perEvent, visible - sent)) })}`;
  yield `data: ${chunk({}, finish)}`;
  yield `data: ${JSON.stringify({ ...JSON.parse(chunk({})), choices: [], usage })}`;
  yield 'data: [DONE]';
}
