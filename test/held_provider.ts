/** Stands between a server and the stand-in of a provider, and can stop a question on its way there, or its answer on the way back. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { listen } from './listen.ts';

interface Stop {
  /** Part of the address. */
  readonly at: string;
  /** before: the provider does not hear of it · after: it has done it, and the answer waits */
  readonly when: 'before' | 'after';
  /** What the question says, in its address or body; empty for any. */
  readonly of: string;
  readonly reached: () => void;
  readonly goOn: Promise<void>;
}

export interface Held {
  /** Resolves once such a question has come to that point. */
  readonly reached: Promise<void>;
  /** Lets it go on. */
  release(): void;
}

const ofOneHop = ['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive'];

export class HeldProvider {
  /** What was asked for, address and body, in order; what was stopped on its way, too. */
  readonly asked: string[] = [];
  origin = '';
  readonly #standIn: string;
  readonly #stops: Stop[] = [];
  readonly #server: Server;

  /** @param standIn its origin */
  private constructor(standIn: string) {
    this.#standIn = standIn;
    this.#server = createServer((request, response) => {
      this.#relay(request, response).catch(() => response.destroy());
    });
  }

  static async before(standIn: string): Promise<HeldProvider> {
    const held = new HeldProvider(standIn);
    held.origin = `http://127.0.0.1:${await listen(held.#server)}`;
    return held;
  }

  /** The next such question stops there. */
  hold(at: string, when: Stop['when'], of = ''): Held {
    const reached = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    this.#stops.push({ at, when, of, reached: reached.resolve, goOn: goOn.promise });
    return { reached: reached.promise, release: goOn.resolve };
  }

  /** What is held is never answered. */
  drop(): void {
    this.#stops.length = 0;
    this.#server.closeAllConnections();
  }

  /** How often it was asked for this, of this payment. */
  count(at: string, names: readonly string[]): number {
    return this.asked.filter(
      (asked) => asked.includes(at) && names.some((name) => asked.includes(name)),
    ).length;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const body = await buffer(request);
    const said = `${url} ${body}`;
    this.asked.push(said);
    const index = this.#stops.findIndex(({ at, of }) => url.includes(at) && said.includes(of));
    const [stop] = index < 0 ? [] : this.#stops.splice(index, 1);
    if (stop?.when === 'before') {
      stop.reached();
      await stop.goOn;
    }
    const headers = Object.entries(request.headers).filter(
      (entry): entry is [string, string] =>
        typeof entry[1] === 'string' && !ofOneHop.includes(entry[0]),
    );
    const answer = await fetch(this.#standIn + url, {
      method,
      headers,
      redirect: 'manual',
      ...(method === 'GET' ? {} : { body }),
    });
    const text = await answer.text();
    if (stop?.when === 'after') {
      stop.reached();
      await stop.goOn;
    }
    const type = answer.headers.get('content-type') ?? 'text/plain';
    response.writeHead(answer.status, { 'content-type': type }).end(text);
  }
}
