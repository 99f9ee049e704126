/**
 * A pool of connections that survives losing them. The driver's own does not: a statement issued in the moment of the
 * loss leaves its connection unusable for good; a transaction's rollback goes to the dead connection, which ends the
 * process, or to the one that replaced it, where the rest of the transaction then runs, and is committed, without its
 * beginning. So each of our connections is a client of its own, with one statement or one transaction at a time, which is
 * thrown away when its connection is lost and never connects again.
 */
import type { ReservedSql } from 'postgres';
import type { Sql } from './connection.ts';

type Reserved = ReservedSql<{ bigint: number }>;

interface Client {
  readonly sql: Sql;
  /** How a query runs on it: what the driver gives to every query that it makes. */
  readonly handler: Query['handler'];
  lost: boolean;
}

/** What the driver's tagged template returns; it runs when it is awaited, by handing itself to its handler. */
interface Query extends Promise<unknown> {
  handler: (query: Query) => unknown;
}

function connectionError(code: 'CONNECTION_CLOSED' | 'CONNECTION_ENDED', words: string): Error {
  return Object.assign(new Error(words), { code });
}

/** Rejects a query as the driver itself does; its types leave out that it can. */
function reject(query: Query, error: unknown): void {
  if ('reject' in query && typeof query.reject === 'function') query.reject(error);
}

/** Whether the driver's function was called as a tagged template, not to quote a name or a list of values. */
function isStatement(args: readonly unknown[]): boolean {
  return Array.isArray(args[0]) && 'raw' in args[0];
}

/** The driver's `sql`, with each statement going through `pass` and some members replaced. */
function wrapped(
  sql: Sql,
  pass: (make: () => unknown) => unknown,
  members: Readonly<Record<string, unknown>>,
): unknown {
  const own: Readonly<Record<string, unknown>> = {
    ...members,
    unsafe: (...args: Parameters<Sql['unsafe']>) => pass(() => sql.unsafe(...args)),
  };
  return new Proxy(sql, {
    apply: (target, _this, args: unknown[]) => {
      const make = (): unknown => Reflect.apply(target, undefined, args);
      return isStatement(args) ? pass(make) : make();
    },
    get: (target, name) =>
      typeof name === 'string' && name in own ? own[name] : Reflect.get(target, name),
  });
}

/** What a pool needs to know of its connections. */
interface Connections {
  /** Makes a client of one connection. */
  readonly open: (onClose: () => void) => Sql;
  readonly max: number;
  /** Whether an error says that the connection is gone, although the driver has yet to notice its end. */
  readonly isLoss: (error: unknown) => boolean;
  /** A statement that is not answered for so long, in ms, is rejected, and its connection lost; infinity waits for ever. */
  readonly patienceMs: number;
}

class Pool {
  readonly #open: (onClose: () => void) => Sql;
  readonly #max: number;
  readonly #isLoss: (error: unknown) => boolean;
  readonly #patienceMs: number;
  readonly #all = new Set<Client>();
  readonly #idle: Client[] = [];
  /** Who waits for a client, in order. */
  readonly #waiting: PromiseWithResolvers<Client>[] = [];
  #ended = false;
  #drained: () => void = () => {};

  constructor({ open, max, isLoss, patienceMs }: Connections) {
    this.#open = open;
    this.#max = max;
    this.#isLoss = isLoss;
    this.#patienceMs = patienceMs;
  }

  /** Runs one statement on whichever connection is free first. */
  readonly run = async (query: Query): Promise<void> => {
    let client: Client;
    try {
      client = await this.#take();
    } catch (error) {
      reject(query, error);
      return;
    }
    const timer = this.#watch(query, client);
    query.then(
      () => {
        clearTimeout(timer);
        this.#give(client);
      },
      (error: unknown) => {
        clearTimeout(timer);
        this.#loseAfter(error, client);
        this.#give(client);
      },
    );
    client.handler(query);
  };

  /** A database that is there and does not answer is as good as away: what was asked may be asked again elsewhere. */
  #watch(query: Query, client: Client): NodeJS.Timeout | undefined {
    if (this.#patienceMs === Number.POSITIVE_INFINITY) return undefined;
    return setTimeout(() => {
      reject(query, connectionError('CONNECTION_CLOSED', 'The database does not answer.'));
      this.#lose(client);
    }, this.#patienceMs);
  }

  /** A connection for the caller alone, until `release()`. */
  async reserve(): Promise<Reserved> {
    const client = await this.#take();
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#give(client);
    };
    const pass = (make: () => unknown): unknown => {
      if (client.lost || released)
        return Promise.reject(
          connectionError('CONNECTION_CLOSED', 'The connection to the database was lost.'),
        );
      const query = make() as Query; // as: the driver's types leave out how a query runs
      const { handler } = query;
      query.handler = (started) => {
        started.then(undefined, (error: unknown) => this.#loseAfter(error, client));
        return handler(started);
      };
      return query;
    };
    return wrapped(client.sql, pass, { release }) as Reserved; // as: a driver's sql with release
  }

  /** Runs `work` in a transaction: committed when it returns, rolled back when it throws or its connection is lost. */
  async begin<T>(options: string, work: (sql: Reserved) => Promise<T>): Promise<T> {
    const sql = await this.reserve();
    try {
      await sql.unsafe(`begin ${options}`);
      try {
        const result = await work(sql);
        const { command } = await sql`commit`;
        // PostgreSQL answers so when a statement failed and `work` went on all the same.
        if (command !== 'COMMIT')
          throw new Error('A statement failed: the transaction was rolled back.');
        return result;
      } catch (error) {
        // What is lost was rolled back by PostgreSQL.
        await sql`rollback`.catch(() => {});
        throw error;
      }
    } finally {
      sql.release();
    }
  }

  /** Lets what runs or waits finish, for at most `timeout` seconds (without it, as long as it takes); then closes all. */
  async end(timeout: number | undefined): Promise<void> {
    this.#ended = true;
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    this.#drained = resolve;
    this.#checkDrained();
    const timer = timeout === undefined ? undefined : setTimeout(resolve, timeout * 1000);
    await drained;
    clearTimeout(timer);
    for (const waiting of this.#waiting.splice(0))
      waiting.reject(connectionError('CONNECTION_ENDED', 'The database was closed.'));
    await Promise.all([...this.#all].map(({ sql }) => sql.end({ timeout: 0 })));
  }

  async #take(): Promise<Client> {
    if (this.#ended) throw connectionError('CONNECTION_ENDED', 'The database was closed.');
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#all.size < this.#max) return this.#create();
    const turn = Promise.withResolvers<Client>();
    this.#waiting.push(turn);
    return turn.promise;
  }

  #create(): Client {
    const sql = this.#open(() => this.#lose(client));
    const pattern: unknown = sql``;
    const { handler } = pattern as Query; // as: the driver's types leave out how a query runs
    const client: Client = { sql, handler, lost: false };
    this.#all.add(client);
    return client;
  }

  #lose(client: Client): void {
    if (client.lost) return;
    client.lost = true;
    this.#all.delete(client);
    const position = this.#idle.indexOf(client);
    if (position >= 0) this.#idle.splice(position, 1);
    // Otherwise it would connect again for a statement that was made before.
    void client.sql.end({ timeout: 0 });
    this.#waiting.shift()?.resolve(this.#create());
    this.#checkDrained();
  }

  /**
   * The driver reports the error before the end of the connection. A statement that came in between would make it connect
   * again, and that connection would belong to nobody.
   */
  #loseAfter(error: unknown, client: Client): void {
    if (this.#isLoss(error)) this.#lose(client);
  }

  #give(client: Client): void {
    if (client.lost) return;
    const next = this.#waiting.shift();
    if (next) next.resolve(client);
    else this.#idle.push(client);
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#ended && this.#idle.length === this.#all.size) this.#drained();
  }
}

/**
 * The driver's `sql` on a pool of ours.
 * @param face builds statements, and listens; its own connections are not used for anything else
 */
export function pooled(face: Sql, connections: Connections): Sql {
  const pool = new Pool(connections);
  type Work = (transaction: Reserved) => Promise<unknown>;
  const sql = wrapped(
    face,
    (make) => {
      const query = make() as Query; // as: the driver's types leave out how a query runs
      query.handler = pool.run;
      return query;
    },
    {
      reserve: () => pool.reserve(),
      begin: (...args: [Work] | [string, Work]) =>
        args.length === 1 ? pool.begin('', args[0]) : pool.begin(args[0], args[1]),
      end: async (given?: { timeout?: number }) => {
        await Promise.all([face.end({ timeout: 0 }), pool.end(given?.timeout)]);
      },
    },
  );
  return sql as Sql; // as: the same members with the same meaning
}
