/**
 * A relay in front of PostgreSQL that understands enough of its protocol to stop a statement at a chosen point: before it
 * reaches the server, or when it is committed and the answer is on its way back.
 */

import net from 'node:net';
import { listen } from '../listen.ts';

/** What a gateway asks of the database. A batch may take a hold and settle at once: then it is both. */
export type Statement = 'key' | 'lease' | 'hold' | 'settle' | 'checkpoint';
type When = 'before' | 'after';

export interface Gate {
  /** Resolves when a statement stands there. */
  readonly reached: Promise<void>;
  /** Lets it go on; without effect where its connection is gone. */
  open(): void;
}

export interface Tap extends AsyncDisposable {
  readonly port: number;
  /** Stops the next statement of this kind, once. */
  arm(statement: Statement, when: When): Gate;
  /** Breaks every open connection. */
  cut(): void;
  /** Where new connections lead from now on; those that are open break. */
  redirect(socketPath: string): void;
}

interface Armed {
  readonly statement: Statement;
  readonly when: When;
  readonly reach: () => void;
  onStop: (open: () => void) => void;
}

/** Cuts a byte stream into messages: a type, four bytes of length, a body. The first of a client has no type. */
class Messages {
  #rest: Buffer = Buffer.alloc(0);
  #typed: boolean;

  constructor(typed: boolean) {
    this.#typed = typed;
  }

  push(bytes: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const found: Buffer[] = [];
    for (;;) {
      const prefix = this.#typed ? 1 : 0;
      if (this.#rest.length < prefix + 4) return found;
      const length = prefix + this.#rest.readUInt32BE(prefix);
      if (this.#rest.length < length) return found;
      found.push(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
      this.#typed = true;
    }
  }
}

function textAt(message: Buffer, from: number): { text: string; next: number } {
  const end = message.indexOf(0, from);
  return { text: message.toString('utf8', from, end), next: end + 1 };
}

/** Positions in the parameters of ledger_apply, from 0: the ids of its settlements and of its holds. */
const settleIds = 5;
const holdIds = 13;

/** The parameters of a Bind message, as texts. */
function parametersOf(message: Buffer, from: number): string[] {
  let at = from + 2 + 2 * message.readUInt16BE(from);
  const count = message.readUInt16BE(at);
  at += 2;
  return Array.from({ length: count }, () => {
    const length = message.readInt32BE(at);
    at += 4 + Math.max(0, length);
    return length < 0 ? '' : message.toString('utf8', at - length, at);
  });
}

function kindsOf(sql: string, parameters: readonly string[]): readonly Statement[] {
  if (sql.includes('ledger_checkpoint(')) return ['checkpoint'];
  if (sql.includes('ledger_lease(')) return ['lease'];
  if (/FROM api_keys/i.test(sql)) return ['key'];
  if (!sql.includes('ledger_apply(')) return [];
  const isThere = (position: number): boolean => (parameters[position] ?? '{}') !== '{}';
  return [
    ...(isThere(settleIds) ? (['settle'] as const) : []),
    ...(isThere(holdIds) ? (['hold'] as const) : []),
  ];
}

class Relay {
  readonly #near: net.Socket;
  readonly #far: net.Socket;
  readonly #take: (kinds: readonly Statement[]) => Armed | null;
  readonly #asked = new Messages(false);
  readonly #answered = new Messages(true);
  readonly #statements = new Map<string, string>();
  /** Bytes that wait at a gate. */
  #toFar: Buffer[] | null = null;
  #toNear: Buffer[] | null = null;
  #whenAnswered: (() => void) | null = null;

  constructor(near: net.Socket, far: net.Socket, take: Relay['take']) {
    this.#near = near;
    this.#far = far;
    this.#take = take;
    near.on('data', (bytes: Buffer) => {
      for (const message of this.#asked.push(bytes)) this.#ask(message);
    });
    far.on('data', (bytes: Buffer) => {
      for (const message of this.#answered.push(bytes)) this.#answer(message);
    });
    for (const socket of [near, far]) {
      socket.on('error', () => this.end());
      socket.on('close', () => this.end());
    }
  }

  get take(): (kinds: readonly Statement[]) => Armed | null {
    return this.#take;
  }

  end(): void {
    this.#near.destroy();
    this.#far.destroy();
  }

  #ask(message: Buffer): void {
    const type = String.fromCharCode(message[0] ?? 0);
    if (type === 'P') {
      const { text: name, next } = textAt(message, 5);
      this.#statements.set(name, textAt(message, next).text);
    }
    const armed = type === 'B' ? this.#armedFor(message) : null;
    if (armed?.when === 'before') {
      this.#toFar = [];
      armed.onStop(() => {
        for (const waiting of this.#toFar ?? []) this.#far.write(waiting);
        this.#toFar = null;
      });
      armed.reach();
    } else if (armed) {
      this.#toNear = [];
      armed.onStop(() => {
        for (const waiting of this.#toNear ?? []) this.#near.write(waiting);
        this.#toNear = null;
      });
      this.#whenAnswered = armed.reach;
    }
    if (this.#toFar) this.#toFar.push(message);
    else this.#far.write(message);
  }

  #armedFor(bind: Buffer): Armed | null {
    const { next } = textAt(bind, 5);
    const { text: name, next: rest } = textAt(bind, next);
    return this.#take(kindsOf(this.#statements.get(name) ?? '', parametersOf(bind, rest)));
  }

  #answer(message: Buffer): void {
    if (this.#toNear) this.#toNear.push(message);
    else this.#near.write(message);
    // ReadyForQuery: what was done is committed.
    if (message[0] !== 0x5a) return;
    this.#whenAnswered?.();
    this.#whenAnswered = null;
  }
}

/** @param socketPath where PostgreSQL listens */
export async function startTap(socketPath: string): Promise<Tap> {
  let target = socketPath;
  const gates = new Set<Armed>();
  const relays = new Set<Relay>();
  const take = (kinds: readonly Statement[]): Armed | null => {
    const armed = [...gates].find(({ statement }) => kinds.includes(statement)) ?? null;
    if (armed) gates.delete(armed);
    return armed;
  };
  const server = net.createServer((near) => {
    const relay = new Relay(near, net.connect(target), take);
    relays.add(relay);
    near.once('close', () => relays.delete(relay));
  });
  const port = await listen(server);
  const cut = (): void => {
    for (const relay of relays) relay.end();
  };
  return {
    port,
    arm: (statement, when) => {
      const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
      let open = (): void => {};
      const onStop: Armed['onStop'] = (action) => {
        open = action;
      };
      gates.add({ statement, when, reach, onStop });
      return { reached, open: () => open() };
    },
    cut,
    redirect: (path) => {
      target = path;
      cut();
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      cut();
    },
  };
}
