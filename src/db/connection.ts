/** How every connection to PostgreSQL is set up, whichever database it goes to. */
import postgres from 'postgres';
import { addArrayTypes } from './arrays.ts';
import { pooled } from './pool.ts';
import { errorCode } from './start-error.ts';

/** The driver's tagged template; `int8` is a number. */
export type Sql = postgres.Sql<{ bigint: number }>;

/** A pool, or a transaction on one of its connections. */
export type Statements = postgres.ISql<{ bigint: number }>;

/** Whether a row was refused because another has its unique value. */
export function isUniqueViolation(error: unknown): boolean {
  return errorCode(error) === '23505';
}

/** Where a database is: a socket of the embedded one, or the operator's address. */
export type Address = { readonly path: string } | { readonly url: string };

interface ConnectOptions {
  /** Most connections at once. */
  readonly max: number;
  /** Shown as application_name in pg_stat_activity. */
  readonly name: string;
  /** Role to act as; without it, the user of the address. */
  readonly role?: string;
  readonly database?: string;
  /** How long a statement may take, in ms, before its connection is given up; for ever where it is not said. */
  readonly patienceMs?: number;
  /** Called each time a connection ends, for whatever reason. */
  readonly onClose?: () => void;
}

/** Ids, tokens and nano-USD all fit into a double's 53 bits; what does not is a defect that must not be rounded away. */
const bigint: postgres.PostgresType<number> = {
  to: 20,
  from: [20],
  parse: (text: string) => {
    const number = Number(text);
    if (!Number.isSafeInteger(number)) throw new RangeError(`${text} is beyond the safe integers`);
    return number;
  },
  serialize: (value: unknown) => String(value),
};

function client(address: Address, options: ConnectOptions, onClose?: () => void): Sql {
  const embedded = 'path' in address;
  const shared = {
    types: { bigint },
    fetch_types: false, // arrays.ts says why.
    max: 1,
    // Away for a moment is the usual case (a restart); a request should wait for that, not for half a minute more.
    connect_timeout: 5,
    backoff: (attempt: number) => (0.5 + Math.random() / 2) * Math.min(0.02 * 2 ** attempt, 0.5),
    onnotice: () => {},
    ...(onClose ? { onclose: onClose } : {}),
    connection: {
      application_name: options.name,
      TimeZone: 'UTC',
      ...(options.role ? { role: options.role } : {}),
    },
  };
  const sql = embedded
    ? postgres({
        ...shared,
        path: address.path,
        user: 'akai',
        password: '',
        ssl: false,
        database: options.database ?? 'akai',
        // Nothing is between us and it that connections would have to be renewed for.
        max_lifetime: null,
      })
    : postgres(address.url, shared);
  addArrayTypes(sql.options);
  return sql;
}

/**
 * A pool that opens its connections when they are first needed, and new ones after they were lost. A statement that ran when
 * its connection was lost is rejected, and may or may not have been done.
 */
export function connect(address: Address, options: ConnectOptions): Sql {
  const open = (onClose: () => void): Sql =>
    client(address, options, () => {
      onClose();
      options.onClose?.();
    });
  return pooled(client(address, options), {
    open,
    max: options.max,
    isLoss: isAway,
    patienceMs: options.patienceMs ?? Number.POSITIVE_INFINITY,
  });
}

const passing = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT', // The socket of an embedded database that is being started.
  'EPIPE',
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: starting or stopping
]);

/** Whether an error says that the database is away for the moment, not that we did something wrong. */
export function isAway(error: unknown): boolean {
  return passing.has(errorCode(error));
}
