/** The provider of the crash rounds: does what the order in the prompt says, and notes what it did. */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  chunkEvent,
  completion,
  type PromptedProvider,
  startPrompted,
} from '../prompted_provider.ts';
import type { Order } from './orders.ts';

export interface Serving {
  /** Bytes of generated text that were written. */
  sentBytes: number;
  /** The whole answer was handed over. */
  finished: boolean;
}

export interface Provider extends PromptedProvider {
  /** By the order's number; more than one means that a gateway asked again. */
  readonly servings: Map<number, Serving[]>;
}

function usageOf({ usage }: Order): object | null {
  return (
    usage && {
      prompt_tokens: usage.prompt,
      completion_tokens: usage.completion,
      total_tokens: usage.prompt + usage.completion,
      prompt_tokens_details: { cached_tokens: usage.cached },
    }
  );
}

function json(response: ServerResponse, order: Order, serving: Serving): void {
  const content = 'j'.repeat(order.chunks * order.chunkBytes);
  serving.sentBytes = content.length;
  const body = completion(`chatcmpl-${order.n}`, order.model, content, usageOf(order));
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

async function stream(response: ServerResponse, order: Order, serving: Serving): Promise<void> {
  const event = (members: object): string =>
    chunkEvent(`chatcmpl-${order.n}`, order.model, members);
  const choice = (delta: object, finish_reason: string | null): object => ({
    choices: [{ index: 0, delta, finish_reason }],
  });
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  if (order.thinkMs > 0) await sleep(order.thinkMs);
  for (let i = 0; i < order.chunks && !response.destroyed; i += 1) {
    response.write(event(choice({ content: 's'.repeat(order.chunkBytes) }, null)));
    serving.sentBytes += order.chunkBytes;
    if (order.gapMs > 0) await sleep(order.gapMs);
  }
  if (order.ending === 'broken') {
    response.destroy();
    return;
  }
  const usage = usageOf(order);
  const last = usage ? event({ choices: [], usage }) : '';
  response.end(`${event(choice({}, 'stop'))}${last}data: [DONE]\n\n`);
}

export async function startProvider(): Promise<Provider> {
  const servings = new Map<number, Serving[]>();
  const provider = await startPrompted(async (prompt, response) => {
    const order: Order = JSON.parse(prompt);
    const serving: Serving = { sentBytes: 0, finished: false };
    servings.set(order.n, [...(servings.get(order.n) ?? []), serving]);
    response.once('finish', () => {
      serving.finished = order.ending === 'whole';
    });
    await sleep(order.delayMs);
    if (order.ending === 'error') response.writeHead(500).end('{"error":{"message":"overloaded"}}');
    else if (order.stream) await stream(response, order, serving);
    else json(response, order, serving);
  });
  return { ...provider, servings };
}
