/**
 * The stand-in for bKash: both generations of its API, its page, its notifications, and every fault that a test may want. It
 * listens on this machine only, moves nothing, and is as strict as what is known of bKash.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createdBody,
  type Generation,
  inGeneration,
  notificationText,
  refusalBody,
} from './bkash_answers.ts';
import {
  BkashBook,
  BkashRefusal,
  type BkashSwitches,
  SchemaRefusal,
  type StandInPayment,
  usualSwitches,
} from './bkash_book.ts';
import { BkashFaults, type BkashOperation, type Fault } from './bkash_faults.ts';
import { hostedPage } from './bkash_hosted.ts';
import { answerOf, operationAt } from './bkash_operations.ts';
import { BkashSns } from './bkash_sns.ts';
import { BkashTokenDesk } from './bkash_token_desk.ts';
import { bodyOf } from './body.ts';

export interface BkashCredentials {
  readonly username: string;
  readonly password: string;
  readonly appKey: string;
  readonly appSecret: string;
}

export interface SandboxBkash {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly credentials: BkashCredentials;
  readonly switches: BkashSwitches;
  readonly faults: BkashFaults;
  readonly book: BkashBook;
  readonly sns: BkashSns;
  /** Operations that were asked for, in their order, whatever came of them. */
  readonly calls: readonly BkashOperation[];
  /** For BKASH_BASE_URL. */
  baseUrl(generation: Generation): string;
  close(): Promise<void>;
}

const mostBytes = 64_000;

const paths = { v1: '/v1.2.0-beta', v2: '/v2/tokenized-checkout' } as const;

/** Of the API of a stand-in that listens at `origin`. */
export function bkashBaseUrl(origin: string, generation: Generation): string {
  return origin + paths[generation];
}

export async function startSandboxBkash(): Promise<SandboxBkash> {
  const credentials = {
    username: 'sandboxUser',
    password: randomBytes(12).toString('base64url'),
    appKey: randomBytes(12).toString('hex'),
    appSecret: randomBytes(24).toString('hex'),
  };
  const book = new BkashBook({ ...usualSwitches });
  const sns = new BkashSns();
  const desk = new Desk(credentials, book, sns);
  const server = createServer((request, response) => {
    desk.answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no port');
  desk.origin = `http://127.0.0.1:${address.port}`;
  return {
    origin: desk.origin,
    credentials,
    switches: book.switches,
    faults: desk.faults,
    book,
    sns,
    calls: desk.calls,
    baseUrl: (generation) => bkashBaseUrl(desk.origin, generation),
    close: async () => {
      desk.over.abort();
      sns.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Said {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

class Desk {
  origin = '';
  readonly faults = new BkashFaults();
  readonly calls: BkashOperation[] = [];
  readonly over = new AbortController();
  readonly #book: BkashBook;
  readonly #sns: BkashSns;
  readonly #tokens: BkashTokenDesk;

  constructor(credentials: BkashCredentials, book: BkashBook, sns: BkashSns) {
    this.#book = book;
    this.#sns = sns;
    this.#tokens = new BkashTokenDesk(credentials, book);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const body = await bodyOf(request, mostBytes);
    const at = operationAt(url.pathname);
    if (!at) {
      hostedPage(this.#book, request, url, body).write(response);
      return;
    }
    this.calls.push(at.operation);
    const fault = this.faults.take(at.operation);
    if (fault && typeof fault === 'object' && 'ms' in fault && fault.before)
      await this.#pause(fault.ms);
    if (fault && !happens(fault)) {
      sayNothingDone(response, fault, at.generation);
      return;
    }
    const said = await this.#said(request, at, body);
    if (fault && typeof fault === 'object' && 'ms' in fault && !fault.before)
      await this.#pause(fault.ms);
    say(response, said, fault);
  }

  /** Ends when the stand-in does. */
  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.over.signal });
  }

  async #said(
    request: IncomingMessage,
    { operation, generation }: { operation: BkashOperation; generation: Generation },
    text: string,
  ): Promise<Said> {
    try {
      if (request.method !== 'POST' || !isJson(request)) throw new SchemaRefusal();
      const fields = fieldsIn(text);
      if (operation === 'grant' || operation === 'refresh')
        return this.#tokens.answer(operation, request.headers, fields);
      const refusal = this.#tokens.refusal(request.headers);
      if (refusal) return refusal;
      const { payment, body, isNew } = answerOf(this.#book, operation, generation, fields);
      if (isNew === 'opened' && payment)
        return ok(generation, createdBody(payment, this.#page(payment), generation));
      if (isNew === 'taken' && payment) await this.#announce(payment);
      return ok(generation, body);
    } catch (error) {
      if (error instanceof SchemaRefusal)
        return { status: 400, body: { message: 'Invalid request body' } };
      if (!(error instanceof BkashRefusal)) throw error;
      const status = generation === 'v1' ? 200 : this.#book.switches.v2ErrorStatus;
      return { status, body: refusalBody(generation, error.code) };
    }
  }

  #page({ id, hash, mode, apiVersion }: StandInPayment): string {
    const version = apiVersion === 'v1' ? 'v1.2.0-beta/' : 'v2/';
    return `${this.origin}/?paymentId=${id}&hash=${hash}&mode=${mode}&apiVersion=${version}`;
  }

  async #announce(payment: StandInPayment): Promise<void> {
    const { notifications } = this.#book.switches;
    const isHeld = notifications === 'held';
    if (payment.mode === '0000' || (!isHeld && this.#sns.webhook === null)) return;
    if (notifications === 'off') return;
    await this.#sns.prepare();
    const message = this.#sns.notification(notificationText(payment));
    if (isHeld) this.#sns.held.push(message);
    else this.#sns.deliver(message);
  }
}

function ok(generation: Generation, body: Said['body']): Said {
  return { status: 200, body: inGeneration(generation, body) };
}

function isJson({ headers }: IncomingMessage): boolean {
  return (
    /^application\/json\b/.test(headers['content-type'] ?? '') && /json/.test(headers.accept ?? '')
  );
}

function fieldsIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return Object.fromEntries(Object.entries(value));
  } catch {
    // As one that is no object.
  }
  throw new SchemaRefusal();
}

/** Whether what was asked for is done, whatever is answered. */
function happens(fault: Fault): boolean {
  return typeof fault === 'object' ? !('code' in fault) : ['lost', 'truncated'].includes(fault);
}

const firewallPage =
  '<html><head><title>Request Rejected</title></head><body>Request Rejected</body></html>';

function sayNothingDone(response: ServerResponse, fault: Fault, generation: Generation): void {
  if (fault === 'silent') response.destroy();
  else if (fault === 'html')
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(firewallPage);
  else if (fault === 'unauthorised')
    write(response, { status: 401, body: { message: 'The incoming token has expired' } });
  else if (fault === 'maintenance')
    write(response, { status: 503, body: refusalBody(generation, '503') });
  else if (typeof fault === 'object' && 'code' in fault)
    write(response, { status: 200, body: refusalBody(generation, fault.code) });
}

function say(response: ServerResponse, said: Said, fault: Fault | null): void {
  if (fault === 'lost') response.destroy();
  else if (fault === 'truncated') {
    const text = JSON.stringify(said.body);
    response.writeHead(said.status, { 'Content-Type': 'application/json' });
    response.end(text.slice(0, text.length / 2));
  } else if (fault !== null && typeof fault === 'object' && 'change' in fault)
    write(response, { ...said, body: { ...said.body, ...fault.change } });
  else write(response, said);
}

function write(response: ServerResponse, { status, body }: Said): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
