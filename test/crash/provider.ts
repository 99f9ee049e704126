/** The provider of the crash rounds: does what the order in the prompt says, and notes what it did. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Order } from './orders.ts';

export interface Serving {
  /** Bytes of generated text that were written. */
  sentBytes: number;
  /** The whole answer was handed over. */
  finished: boolean;
}

export interface Provider extends AsyncDisposable {
  /** For OPENAI_BASE_URL. */
  readonly baseUrl: string;
  /** By the order's number; more than one means that a gateway asked again. */
  readonly servings: Map<number, Serving[]>;
}

async function orderIn(request: IncomingMessage): Promise<Order> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return JSON.parse(JSON.parse(text).messages[0].content);
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
  const usage = usageOf(order);
  const body = JSON.stringify({
    id: `chatcmpl-${order.n}`,
    object: 'chat.completion',
    created: 1_700_000_000,
    model: order.model,
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    ...(usage ? { usage } : {}),
  });
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

async function stream(response: ServerResponse, order: Order, serving: Serving): Promise<void> {
  const event = (members: object): string =>
    `data: ${JSON.stringify({
      id: `chatcmpl-${order.n}`,
      object: 'chat.completion.chunk',
      created: 1_700_000_000,
      model: order.model,
      ...members,
    })}\n\n`;
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
  const server = createServer(async (request, response) => {
    const order = await orderIn(request).catch(() => null);
    // The gateway left before it had sent the whole request.
    if (!order) return;
    const serving: Serving = { sentBytes: 0, finished: false };
    servings.set(order.n, [...(servings.get(order.n) ?? []), serving]);
    response.on('error', () => {});
    response.once('finish', () => {
      serving.finished = order.ending === 'whole';
    });
    await sleep(order.delayMs);
    if (order.ending === 'error') response.writeHead(500).end('{"error":{"message":"overloaded"}}');
    else if (order.stream) await stream(response, order, serving);
    else json(response, order, serving);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    servings,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
