/** `akai doctor`: looks at everything that an installation needs and says what to do about what is missing. */

import { randomUUID } from 'node:crypto';
import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { providers } from './catalogue/catalogue.ts';
import { type Check, ok, problem, warning } from './commands/check.ts';
import { paymentChecks } from './commands/payment_checks.ts';
import { portCheck } from './commands/port_check.ts';
import { routingChecks } from './commands/routing_checks.ts';
import type { Said } from './commands/said.ts';
import { type Config, isLoopback, isReal, isWhole, providerVariables } from './config.ts';
import { type Database, openDatabase } from './db/database.ts';
import { ensureDataDir } from './db/place.ts';
import { outboxState } from './mail/outbox.ts';
import { recoveryState } from './wallet/instances.ts';

const leastNode = 24;
const leastFreeBytes = 1_000_000_000;
const mostClockGapMs = 2000;
/** Mail that waits for longer does not get through. */
const lateMinutes = 15;

/** Runs every check, also after one has failed. Failed when there is a problem; warnings pass. */
export async function doctor(config: Config): Promise<Said> {
  const checks = [
    node(),
    await dataFolder(config),
    ...(await databaseChecks(config)),
    await secret(config),
    await portCheck(config),
    providerKeys(config),
    exposure(config),
  ];
  const healthy = checks.every(({ state }) => state !== 'problem');
  const signs = { ok: '✓', warning: '!', problem: '✗' };
  const lines = checks.flatMap(({ name, state, detail, advice }) => [
    `${signs[state]} ${name}: ${detail}`,
    ...(advice ? [`    → ${advice}`] : []),
  ]);
  const last = healthy ? 'Nothing stands in the way.' : 'Mend what is marked ✗.';
  return {
    json: { ok: healthy, checks },
    text: [...lines, last].join('\n'),
    failed: !healthy,
  };
}

function node(): Check {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= leastNode) return ok('Node.js', process.version);
  return problem(
    'Node.js',
    process.version,
    'Start with npm start or npm run akai: they bring Node.js 26.',
  );
}

async function dataFolder({ dataDir }: Config): Promise<Check> {
  const name = 'Data folder';
  const path = resolve(dataDir);
  const probe = join(path, `.probe-${randomUUID()}`);
  try {
    ensureDataDir(path);
    await writeFile(probe, '');
    await rm(probe);
    const { bavail, bsize } = await statfs(path);
    const free = `${Math.floor((bavail * bsize) / 1_000_000_000)} GB free`;
    if (bavail * bsize < leastFreeBytes)
      return warning(name, `${path}, ${free}`, 'Make room: a full disk stops the database.');
    return ok(name, `${path}, ${free}`);
  } catch (error) {
    return problem(
      name,
      reasonOf(error),
      'Give this user the folder (chown), or set DATA_DIR to one that it may write.',
    );
  }
}

async function databaseChecks(config: Config): Promise<Check[]> {
  let database: Database;
  try {
    database = await openDatabase(config, 'command', () => {});
  } catch (error) {
    return [problem('Database', reasonOf(error), databaseAdvice(config))];
  }
  try {
    return [
      await databaseItself(database, config),
      ok('Mode', config.mode === 'live' ? 'live: real money' : 'sandbox: play money'),
      await clock(database),
      await recovery(database, config),
      await mail(database, config),
      ...(await routingChecks(database.sql, config)),
      ...(await paymentChecks(database.sql, config)),
    ];
  } catch (error) {
    return [problem('Database', reasonOf(error), databaseAdvice(config))];
  } finally {
    await database.close();
  }
}

function databaseAdvice({ databaseUrl }: Config): string {
  return databaseUrl
    ? 'Check DATABASE_URL and that the server behind it is up and lets this user in.'
    : 'Read the sentence above; the log of the embedded PostgreSQL is in the data folder.';
}

async function databaseItself(
  { sql, embedded, restricted }: Database,
  config: Config,
): Promise<Check> {
  const [row] = await sql<{ version: string; role: string; migrations: number }[]>`
    SELECT current_setting('server_version') AS version, current_user AS role,
      (SELECT count(*) FROM migrations) AS migrations`;
  if (!row) return problem('Database', 'It answered with nothing.', databaseAdvice(config));
  const where = embedded ? 'embedded' : 'from DATABASE_URL';
  const detail = `PostgreSQL ${row.version}, ${where}, role ${row.role}, ${row.migrations} migrations`;
  if (restricted) return ok('Database', detail);
  return warning(
    'Database',
    detail,
    'The server runs with more rights than it needs: let the database user create roles (CREATEROLE) and start again.',
  );
}

async function clock({ sql }: Database): Promise<Check> {
  const before = Date.now();
  const [row] = await sql<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
  const after = Date.now();
  const there = row?.now.getTime() ?? 0;
  // The answer was made somewhere between the two readings of our clock.
  const gap = there < before ? before - there : Math.max(0, there - after);
  if (gap <= mostClockGapMs) return ok('Clock', `agrees with the database to ${gap} ms`);
  return warning('Clock', `${gap} ms from the database's`, 'Let both machines keep time with NTP.');
}

async function recovery({ sql }: Database, { recoveryGraceMs }: Config): Promise<Check> {
  const name = 'Recovery';
  const { serving, waiting, overdue } = await recoveryState(sql, recoveryGraceMs);
  const servers = serving === 1 ? '1 server at work' : `${serving} servers at work`;
  if (waiting === 0) return ok(name, `${servers}, no request is left over`);
  const detail = `${servers}, ${waiting} requests of stopped servers wait to be settled`;
  if (serving === 0) return warning(name, detail, 'Start the server: it settles them by itself.');
  if (overdue === 0) return ok(name, `${detail}, as soon as their leases have run out`);
  return warning(name, detail, 'They should be settled by now: read the log of the server.');
}

async function mail({ sql }: Database, { smtpUrl, mode }: Config): Promise<Check> {
  const name = 'Mail';
  const { waiting, oldestMinutes, givenUp } = await outboxState(sql);
  const box = `${waiting} waiting, the oldest for ${oldestMinutes} min, ${givenUp} given up in a week`;
  if (!smtpUrl && mode === 'sandbox')
    return ok(name, `no SMTP_URL: ${box}; /sandbox/mail shows them`);
  if (!smtpUrl)
    return warning(name, `no SMTP_URL: ${box}`, 'Set SMTP_URL: nobody gets a mail until then.');
  if (givenUp > 0 || oldestMinutes > lateMinutes)
    return warning(name, box, 'Read the log of the server: it says why mails do not get through.');
  return ok(name, box);
}

async function secret(config: Config): Promise<Check> {
  if (config.secret) return ok('Secret', 'from AKAI_SECRET');
  const path = join(resolve(config.dataDir), 'secret');
  try {
    const { mode } = await stat(path);
    const others = mode & 0o077;
    if (others === 0) return ok('Secret', path);
    return warning('Secret', `${path} can be read by other users`, `chmod 600 ${path}`);
  } catch {
    return ok('Secret', `will be made at the first start in ${path}`);
  }
}

function providerKeys({ mode, providers: access }: Config): Check {
  const name = 'Providers';
  const real = [...access].filter(([, own]) => isReal(own)).map(([id]) => id);
  const names = real.map((id) => providers.get(id)?.name ?? id).join(', ');
  const homeless = real.filter(
    (id) => !isWhole(access.get(id)?.baseUrl || providers.get(id)?.baseUrl || ''),
  );
  if (homeless.length > 0) {
    const variables = homeless.map((id) => providerVariables(id).baseUrl).join(', ');
    const advice = `Set ${variables} without braces, as .env.example shows its form.`;
    return warning(name, `real: ${names}; without an address, so not asked: ${homeless}`, advice);
  }
  if (real.length > 0) return ok(name, `real: ${names}`);
  const example = 'OPENAI_API_KEY; .env.example has those of every provider';
  if (mode === 'sandbox')
    return ok(name, `stand-ins on this machine; real with a key, such as ${example}`);
  return problem(
    name,
    'none has a key or a base URL, so no model can answer',
    `Set a key, such as ${example}.`,
  );
}

function exposure({ host, mode, providers: access }: Config): Check {
  const name = 'Network';
  const real = [...access.values()].some(isReal);
  if (isLoopback(host)) return ok(name, `${host}: this machine only`);
  if (mode === 'sandbox' && real)
    return problem(
      name,
      `${host}: open to the network, while sandbox money buys real answers`,
      'Set HOST=127.0.0.1, or take the keys and base URLs of providers out.',
    );
  return ok(name, `${host}: open to the network`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
