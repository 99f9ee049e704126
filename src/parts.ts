/** The parts of the gateway, made of the configuration and the database; `server.ts` starts and stops them. */
import { join } from 'node:path';
import { demoAllowed } from './accounts/demo.ts';
import { receiptKey } from './accounts/receipt_key.ts';
import { AnswerStore } from './answers/store.ts';
import type { Config } from './config.ts';
import type { Database, Sql } from './db/database.ts';
import { Limits } from './gateway/admit.ts';
import { KeyDirectory } from './gateway/authenticate.ts';
import type { Routes } from './gateway/choose.ts';
import { Conversations } from './gateway/conversations.ts';
import { Receipts } from './gateway/generation.ts';
import { KeptAnswers } from './gateway/kept_answers.ts';
import { Lengths } from './gateway/lengths.ts';
import { ModelBodies } from './gateway/models.ts';
import { OwnKeys } from './gateway/own_keys.ts';
import { Upstreams } from './gateway/upstream.ts';
import type { Log } from './log.ts';
import type { Api } from './routes.ts';
import { CheckpointLane, readLeftJournals } from './wallet/checkpoints.ts';
import { Journal } from './wallet/journal.ts';
import type { Lease } from './wallet/lease.ts';
import { Ledger } from './wallet/ledger.ts';
import { parseUsd } from './wallet/money.ts';

/** How long what runs on behind a client that left may still be read; ms. */
export const drainMs = 100;
const mostTouchMs = 10_000;
const databasePatienceMs = 5000;

/** Connections of the hot path: a database that is silent on them for so long is taken for away, and requests hear 503. */
export function lane(database: Database, name: string, max = 1): Sql {
  return database.connect({ max, name: `akai ${name}`, patienceMs: databasePatienceMs });
}

/** Where this process notes which streams have begun, for its successor should it die. */
function journalFolder({ dataDir }: Config): string {
  return join(dataDir, 'streams');
}

function checkpointLane(config: Config, database: Database, lease: Lease): CheckpointLane {
  const journal = new Journal(journalFolder(config), lease.instance);
  return new CheckpointLane(lane(database, 'checkpoints'), journal, () => lease.isAlive());
}

/** Its first act is to recover what dead processes left: what their journals tell must be known by then. */
export async function startLease(config: Config, lease: Lease, database: Database): Promise<void> {
  await readLeftJournals(database.sql, journalFolder(config), database.embedded);
  await lease.start();
}

export function answerStore(
  config: Config,
  database: Database,
  { instance }: Lease,
  secret: string,
  log: Log,
): AnswerStore {
  return new AnswerStore(lane(database, 'answers', 4), {
    secret,
    instance,
    answerBytes: config.keptAnswerBytes,
    accountBytes: config.keptAccountBytes,
    log: (message, error) => log('warn', message, error),
  });
}

export function keyDirectory(
  config: Config,
  database: Database,
  secret: string,
  log: Log,
): KeyDirectory {
  const sql = lane(database, 'keys', 4);
  const warn = (message: string, error: unknown): void => log('warn', message, error);
  return new KeyDirectory(sql, demoAllowed(config), new OwnKeys(sql, config, secret, warn));
}

export function buildApi(
  config: Config,
  database: Database,
  lease: Lease,
  answers: AnswerStore,
  routes: Routes,
  keys: KeyDirectory,
): Api {
  return {
    models: new ModelBodies(routes),
    receipts: new Receipts(lane(database, 'receipts', 2), () => receiptKey(database.sql, config)),
    keys,
    limits: new Limits({
      keyRpm: config.rateLimitRpm,
      accountRpm: config.accountRateLimitRpm,
      accountConcurrency: config.accountConcurrency,
    }),
    routes,
    upstreams: new Upstreams(config),
    ledger: new Ledger(lane(database, 'ledger'), checkpointLane(config, database, lease), lease, {
      floor: parseUsd(config.minimumBalance),
      holdWaitMs: config.holdWaitMs,
    }),
    lengths: new Lengths(),
    conversations: new Conversations(),
    own: database.sql,
    statements: lane(database, 'statements', 2),
    quotes: { sql: database.sql, bdtRate: config.bdtRate },
    relay: {
      maxEventBytes: config.maxAnswerBytes,
      firstTokenTimeoutMs: config.firstTokenTimeoutMs,
      stalledClientMs: config.idleTimeoutMs,
      drainMs,
      keepAliveMs: config.keepAliveMs,
    },
    kept: new KeptAnswers(answers, {
      unattendedMs: config.unattendedMs,
      answerBytes: config.keptAnswerBytes,
      keepAliveMs: config.keepAliveMs,
      stalledClientMs: config.idleTimeoutMs,
      touchMs: Math.min(mostTouchMs, config.unattendedMs / 4),
    }),
    maxBodyBytes: config.maxBodyBytes,
    trustedProxies: config.trustedProxies,
  };
}

/** What requests need to know of the database before the first of them. */
export async function startApi(
  { keys, lengths }: Api,
  answers: AnswerStore,
  { sql }: Database,
): Promise<void> {
  await Promise.all([keys.start(), lengths.recall(sql), answers.start()]);
}
