/** Stands in for model providers that have no key: answers on loopback, in each form in which providers speak. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { models, providers } from '../catalogue/catalogue.ts';
import { providerVariables } from '../config.ts';
import type { StandIn } from './answer.ts';
import { anthropicForm } from './anthropic.ts';
import { bedrockForm } from './bedrock.ts';
import { bodyOf } from './body.ts';
import type { Form, Reply } from './form.ts';
import { geminiForm } from './gemini.ts';
import { openaiForm } from './openai.ts';
import { Refusal } from './request.ts';
import { standInOf } from './stand_in_url.ts';

export interface Sandbox {
  /** `http://127.0.0.1:PORT/v1` */
  readonly baseUrl: string;
  /** Cuts open answers and stops listening. */
  close(): Promise<void>;
}

/** The first that takes a request answers it. */
const forms: readonly Form[] = [anthropicForm, bedrockForm, geminiForm, openaiForm];

const largestBody = 64_000_000;

/** By the provider's name of the model, for each provider; under null for whoever offers it first. */
type StandIns = ReadonlyMap<string | null, ReadonlyMap<string, StandIn>>;

function standIns(): StandIns {
  const all = new Map<string | null, Map<string, StandIn>>([[null, new Map()]]);
  const add = (provider: string | null, name: string, standIn: StandIn): void => {
    const own = all.get(provider) ?? new Map<string, StandIn>();
    all.set(provider, own);
    if (!own.has(name)) own.set(name, standIn);
  };
  for (const model of models.values())
    for (const offer of model.offers) {
      const { provider, upstreamModel, maxOutputTokens, contextLength, constraints } = offer;
      const dated = model.aliases.find((alias) => /-\d{4}-\d{2}-\d{2}$/.test(alias));
      const standIn: StandIn = {
        title: model.name,
        snapshot: dated?.endsWith(upstreamModel + dated.slice(-11))
          ? upstreamModel + dated.slice(-11)
          : upstreamModel,
        provider,
        author: model.author,
        keyVariable: providerVariables(provider).apiKey,
        reasoning: model.reasoning,
        completionExcludesReasoning: providers.get(provider)?.completionExcludesReasoning === true,
        maxOutputTokens,
        contextLength,
        constraints,
      };
      add(provider, upstreamModel, standIn);
      add(null, upstreamModel, standIn);
    }
  return all;
}

async function stream(
  pieces: Iterable<string | Buffer>,
  contentType: string,
  response: ServerResponse,
  paceMs: number,
): Promise<void> {
  response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-cache' });
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  for (const piece of pieces) {
    if (gone.signal.aborted) return;
    if (!response.write(typeof piece === 'string' ? `${piece}\n\n` : piece))
      await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
    if (paceMs > 0 && piece !== 'data: [DONE]') await sleep(paceMs);
  }
  response.end();
}

const tooLarge = (): Refusal => new Refusal(413, 'The request is too large.', null);

function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

async function send(
  { headers = {}, json, events, frames, contentType = '' }: Reply,
  response: ServerResponse,
  paceMs: number,
): Promise<void> {
  for (const name in headers) response.setHeader(name, headers[name] ?? '');
  if (events) await stream(events, 'text/event-stream; charset=utf-8', response, paceMs);
  else if (frames) await stream(frames, contentType, response, paceMs);
  else sendJson(response, 200, json ?? '');
}

function refuse(error: unknown, response: ServerResponse, form: Form): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const refusal =
    error instanceof Refusal ? error : new Refusal(500, 'The sandbox failed.', 'server_error');
  if (refusal.status === 413) response.setHeader('connection', 'close');
  sendJson(response, refusal.status, form.refusal(refusal));
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  all: StandIns,
  paceMs: number,
): Promise<void> {
  const { provider, rest } = standInOf(request.url ?? '/');
  const where = `${request.method} ${rest}`;
  const known = all.get(provider) ?? new Map<string, StandIn>();
  const form = forms.find((each) => each.takes(where)) ?? openaiForm;
  try {
    const own = form.headers();
    for (const name in own) response.setHeader(name, own[name] ?? '');
    const body = await bodyOf(request, largestBody, tooLarge);
    const reply = form.reply({ where, headers: request.headers, body }, known);
    await send(reply, response, paceMs);
  } catch (error) {
    refuse(error, response, form);
  }
}

/**
 * Listens on a free port of 127.0.0.1. Needs no key: whoever is on this machine may ask.
 * @param options.paceMs between the chunks of a stream
 */
export async function startSandboxProvider({ paceMs = 4 } = {}): Promise<Sandbox> {
  const known = standIns();
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    void handle(request, response, known, paceMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The sandbox has no port.');
  return {
    baseUrl: `http://127.0.0.1:${address.port}/v1`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
