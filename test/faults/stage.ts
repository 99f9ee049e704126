/** One PostgreSQL behind a tap, gateways on it, a scripted provider, and people with a wallet each. */
import { connect, type Sql } from '../../src/db/connection.ts';
import { type Place, socketPath } from '../../src/db/place.ts';
import { ensureRunning, livingPostmaster } from '../../src/db/postmaster.ts';
import { GatewayProcess } from '../crash/gateway_process.ts';
import { type Customer, makeCustomer } from '../customer.ts';
import { startDatabase } from '../embedded_database.ts';
import { temporaryDataDir } from '../installation.ts';
import { until } from '../scratch_data.ts';
import { type ScriptedProvider, startScripted } from './provider.ts';
import { startTap, type Tap } from './tap.ts';

export interface Stage extends AsyncDisposable {
  readonly gateways: readonly GatewayProcess[];
  readonly provider: ScriptedProvider;
  readonly tap: Tap;
  readonly place: Place;
  /** As the owner of the database; a new one after the database has died. */
  readonly sql: Sql;
  customer(usd: string): Promise<Customer>;
}

const quiet = (): void => {};

/** Starts it again after it has died or was stopped. What the dead one left behind may answer for it for a moment. */
export async function restartDatabase(place: Place): Promise<void> {
  await until('PostgreSQL runs again', async () => {
    await ensureRunning(place, quiet);
    return livingPostmaster(place) !== null;
  });
}

/** Ends PostgreSQL with a signal, and resolves when it is gone. */
export async function endDatabase(place: Place, signal: NodeJS.Signals): Promise<void> {
  const pid = livingPostmaster(place);
  if (pid === null) throw new Error('PostgreSQL does not run');
  process.kill(pid, signal);
  await until('PostgreSQL has ended', () => livingPostmaster(place) !== pid);
}

/** @param env settings of every gateway, on top of those that lead it here */
export async function openStage(
  names: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const provider = stack.use(await startScripted());
  const folder = await temporaryDataDir();
  const place = await startDatabase(folder);
  const tap = stack.use(await startTap(socketPath(place)));
  const sql = connect({ path: socketPath(place) }, { max: 4, name: 'test owner' });
  const settings = {
    OPENAI_BASE_URL: provider.baseUrl,
    OPENAI_API_KEY: 'test',
    RATE_LIMIT_RPM: '0',
    DRAIN_TIMEOUT_MS: '3000',
    LOG_LEVEL: 'warn',
    AKAI_SECRET: 'one secret for every server of these tests',
    ...env,
  };
  const url = `postgres://akai:test@127.0.0.1:${tap.port}/akai`;
  const gateways: GatewayProcess[] = [];
  // The one in whose folder PostgreSQL lives goes last.
  stack.defer(async () => {
    await sql.end({ timeout: 1 });
    for (const gateway of gateways.toReversed()) await gateway.remove();
  });
  for (const [index, name] of names.entries())
    gateways.push(await GatewayProcess.create(name, settings, index === 0 ? folder : null, url));
  await Promise.all(gateways.map((gateway) => gateway.start()));
  return {
    gateways,
    provider,
    tap,
    place,
    sql,
    customer: (usd) => makeCustomer(sql, usd),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
