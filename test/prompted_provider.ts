/** A provider that is told by the prompt what to answer. */
import { createServer, type ServerResponse } from 'node:http';
import { listen } from './listen.ts';

export interface PromptedProvider extends AsyncDisposable {
  /** For OPENAI_BASE_URL. */
  readonly baseUrl: string;
}

/** @param answer gets the text of the first message */
export async function startPrompted(
  answer: (prompt: string, response: ServerResponse) => unknown,
): Promise<PromptedProvider> {
  const server = createServer(async (request, response) => {
    let text = '';
    try {
      for await (const chunk of request.setEncoding('utf8')) text += chunk;
    } catch {
      // The gateway left before it had sent the whole request.
      return;
    }
    response.on('error', () => {});
    await answer(JSON.parse(text).messages[0].content, response);
  });
  server.keepAliveTimeout = 60_000;
  const port = await listen(server);
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** An event of a stream. @param members beside those that every chunk has */
export function chunkEvent(id: string, model: string, members: object): string {
  const head = { id, object: 'chat.completion.chunk', created: 1_700_000_000, model };
  return `data: ${JSON.stringify({ ...head, ...members })}\n\n`;
}

/** An answer in one piece. @param usage null to report none */
export function completion(
  id: string,
  model: string,
  content: string,
  usage: object | null,
): string {
  const message = { role: 'assistant', content };
  return JSON.stringify({
    ...{ id, object: 'chat.completion', created: 1_700_000_000, model },
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    ...(usage ? { usage } : {}),
  });
}
