/** Builds the parts in order, starts them, drains and stops them. The only file that knows the HTTP libraries. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { demoAllowed, demoKey } from './accounts/demo.ts';
import { reachOf } from './accounts/public_address.ts';
import { installationSecret } from './accounts/secret.ts';
import { sessionSecret } from './accounts/sessions.ts';
import { SignIn } from './accounts/sign_in.ts';
import { BalanceWatch } from './alerts/watch.ts';
import { buildSiteApi, isSiteApi } from './api/api.ts';
import { type Config, isLoopback } from './config.ts';
import { type Database, openDatabase } from './db/database.ts';
import { errorCode, StartError } from './db/start-error.ts';
import { ApiError, databaseUnavailable, errorBody, errorHeaders } from './errors.ts';
import { ClientLeft } from './gateway/body.ts';
import { Routes } from './gateway/choose.ts';
import { Exchange } from './gateway/exchange.ts';
import { Routing } from './gateway/routing.ts';
import { routingState } from './gateway/routing_state.ts';
import { UpstreamBroken } from './gateway/upstream.ts';
import { requestIdOf, timeOrderedId } from './ids.ts';
import { createLog, type Log } from './log.ts';
import { MailSender } from './mail/sender.ts';
import { addAccountPages } from './pages/account.ts';
import { addAgreementPages } from './pages/agreement.ts';
import { announcement } from './pages/announcement.ts';
import { addMailPages } from './pages/mail.ts';
import { buildPages } from './pages/pages.ts';
import { addPaymentPages } from './pages/payment.ts';
import { addRedeemPage } from './pages/redeem.ts';
import {
  answerStore,
  buildApi,
  drainMs,
  keyDirectory,
  lane,
  startApi,
  startLease,
} from './parts.ts';
import { startAutoTopups } from './payments/auto_topup.ts';
import type { Desk } from './payments/desk.ts';
import { openDesk } from './payments/open.ts';
import { paymentsState } from './payments/payments_state.ts';
import { startReconciler } from './payments/reconcile.ts';
import { tellOwner } from './payments/tell_owner.ts';
import { type Api, answer, described } from './routes.ts';
import { startSandboxProvider } from './sandbox/provider.ts';
import { AuditSchedule } from './wallet/audit_schedule.ts';
import { booksState } from './wallet/books_state.ts';
import { DayCounter } from './wallet/day_totals.ts';
import { isPassing, SettlementLost } from './wallet/failure.ts';
import { Lease } from './wallet/lease.ts';
import { rememberPrices } from './wallet/price_versions.ts';

export interface RunningServer {
  /** As users reach it, such as http://localhost:3000. */
  readonly origin: string;
  /** Lets open requests finish, then stops everything. A second call stops at once. */
  stop(): Promise<void>;
}

/** Longer than load balancers keep a connection, so that they and not we close it: a request on its way is then never lost. */
const keepAliveMs = 75_000;
const headersTimeoutMs = 15_000;
const drainPollMs = 20;
const countEveryMs = 15_000;

/**
 * Starts the service.
 * @param say takes lines of progress for the person who waits
 * @throws StartError with one sentence; nothing is left running then
 */
export async function startServer(
  config: Config,
  say: (line: string) => void,
): Promise<RunningServer> {
  refuseExposure(config);
  const log = createLog(config.logLevel);
  const undo: (() => Promise<unknown>)[] = [];
  const traffic = { open: 0 };
  try {
    const server = createServer({ noDelay: true });
    const port = await listen(server, config);
    undo.unshift(async () => server.close());
    const database = await openDatabase(config, 'serve', say);
    undo.unshift(() => database.close());
    const sandbox = config.mode === 'sandbox' ? await startSandboxProvider() : null;
    if (sandbox) undo.unshift(() => sandbox.close());
    // Two: renewals do not wait for recovery, which waits for wallets.
    const lease = new Lease(lane(database, 'lease', 2), {
      leaseMs: config.leaseMs,
      graceMs: config.recoveryGraceMs,
      sole: database.embedded,
      log: (message, error) => log('warn', message, error),
    });
    const secret = await installationSecret(config);
    const answers = answerStore(config, database, lease, secret, log);
    const routes = new Routes(config, sandbox?.baseUrl ?? null);
    const keys = keyDirectory(config, database, secret, log);
    const api = buildApi(config, database, lease, answers, routes, keys);
    undo.unshift(() => api.upstreams.close());
    // A receipt names the version of its prices: what that stands for is written down first.
    await rememberPrices(database.sql, api.routes.versions);
    undo.unshift(await startRouting(config, api, database, log));
    undo.unshift(await keepBooks(config, database, log));
    undo.unshift(startMail(config, database, log));
    await Promise.all([startLease(config, lease, database), startApi(api, answers, database)]);
    undo.unshift(() => api.ledger.checkpoints.close().then(() => lease.stop()));
    undo.unshift(() => api.kept.stop());
    const key = await demoKey(database, config);
    const origin = config.publicUrl || `http://localhost:${port}`;
    const payments = await openDesk({
      ...{ config, secret, sql: database.sql, origin: () => origin },
      log: (message, error) => log('warn', message, error),
      changed: tellOwner(() => origin),
    });
    undo.unshift(() => payments.close());
    const { desk } = payments;
    undo.unshift(startMoneySchedules(config, desk, log));
    const answerPages = website(config, { database, api, secret, origin, key, traffic, desk, log });
    const stop = serve(server, traffic, api, answerPages, log, config.drainTimeoutMs);
    for (const line of announcement(config, origin, key)) say(line);
    let ended: Promise<void> | undefined;
    const end = async () => {
      for (const step of undo) await step();
    };
    return {
      origin,
      stop: async () => {
        await stop();
        // A second call only hurries the first; the parts are taken down once.
        ended ??= end();
        await ended;
      },
    };
  } catch (error) {
    for (const step of undo) await step().catch(() => {});
    throw error;
  }
}

interface WebsiteParts {
  readonly database: Database;
  readonly api: Api;
  readonly secret: string;
  readonly origin: string;
  readonly key: string | null;
  readonly traffic: { readonly open: number };
  readonly desk: Desk;
  readonly log: Log;
}

/** All that is not /v1: the pages for people, and the API of the site. */
function website(
  config: Config,
  { database, api, secret, origin, key, traffic, desk, log }: WebsiteParts,
): Listener {
  const signIn = new SignIn(database.sql, config);
  const pages = buildPages({
    config,
    origin: () => origin,
    demoKey: () => key,
    ping: () => database.sql`SELECT 1`,
    metrics: metricsSource(database, api, traffic),
    report: (error) => log('error', 'a page failed', error),
  });
  const about = { config, sql: database.sql, signIn };
  addAccountPages(pages, about);
  addPaymentPages(pages, config, desk);
  addRedeemPage(pages, about);
  const report = (message: string, error: unknown): void => log('error', message, error);
  const cookieSecret = sessionSecret(secret);
  addAgreementPages(pages, { config, desk, sessionSecret: cookieSecret, report });
  if (config.mode === 'sandbox') addMailPages(pages, about);
  const site = buildSiteApi({
    config,
    sql: database.sql,
    statements: api.statements,
    origin: () => origin,
    signIn,
    desk,
    sessionSecret: cookieSecret,
    others: described,
    report,
  });
  return getRequestListener((request, environment) =>
    (isSiteApi(request) ? site : pages).fetch(request, environment),
  );
}

function metricsSource({ sql }: Database, { routes }: Api, traffic: { readonly open: number }) {
  return {
    books: () => booksState(sql),
    payments: () => paymentsState(sql),
    routing: () => routingState(routes),
    inFlight: () => traffic.open,
  };
}

/** Returns what stops its probes. */
async function startRouting(
  { probesEvery }: Config,
  api: Api,
  database: Database,
  log: Log,
): Promise<() => Promise<void>> {
  const routing = new Routing(lane(database, 'routing'), api, probesEvery, log);
  await routing.start();
  return () => routing.stop();
}

/** Sandbox money is free for the asking, so it must not buy strangers the answers of a provider that is paid for. */
function refuseExposure(config: Config): void {
  const { host, mode } = config;
  if (mode !== 'sandbox' || demoAllowed(config) || isLoopback(host)) return;
  throw new StartError(
    `A sandbox with a provider's key or base URL serves this machine only, not HOST=${host}: take out HOST, or the provider's settings, or set MODE=live.`,
  );
}

/** Takes the port before anything else is touched: a second start by mistake then changes nothing. */
function listen(server: Server, config: Config): Promise<number> {
  server.keepAliveTimeout = keepAliveMs;
  server.headersTimeout = headersTimeoutMs;
  // Large prompts over slow lines take as long as they take; the size is what is bounded.
  server.requestTimeout = 0;
  server.on('request', notReady);
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new StartError(listenFailure(config, errorCode(cause)), { cause }));
    });
    server.listen(config.port, config.host, () => {
      // as: a TCP server's address is no string
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function listenFailure({ host, port }: Config, code: string): string {
  if (code === 'EADDRINUSE')
    return `Port ${port} is taken: stop what uses it, or choose another with PORT=${port + 1} npm start.`;
  if (code === 'EACCES')
    return `This user may not listen on port ${port}: choose one above 1023 with PORT.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `HOST=${host} is not an address of this machine.`;
  return `The server cannot listen on ${host}:${port} (${code}).`;
}

function notReady(request: IncomingMessage, response: ServerResponse): void {
  new Exchange(request, response).fail(new ApiError('starting', { retryAfterMs: 1000 }));
}

/** Sends mails, where there is a server for them. Returns what stops it. */
function startMail(config: Config, { sql }: Database, log: Log): () => Promise<void> {
  if (!config.smtpUrl) return async () => {};
  const sender = new MailSender(sql, config, log);
  sender.start();
  return () => sender.stop();
}

/** Finds out what became of payments, tells of low balances, tops up by agreements. Returns what stops all of it. */
function startMoneySchedules(config: Config, desk: Desk, log: Log): () => Promise<void> {
  const { sql, secret, origin } = desk;
  const everyMs = config.paymentsEveryMs;
  const alarm = (message: string): void => log('error', message);
  const reconciler = startReconciler(desk, { everyMs, alarm });
  const sandbox = config.mode === 'sandbox';
  const watch = new BalanceWatch({ sql, secret, sandbox, reach: reachOf(config), origin, log });
  watch.start();
  const stopAutoTopups = startAutoTopups(desk, everyMs);
  return async () => {
    await Promise.all([reconciler.stop(), watch.stop(), stopAutoTopups()]);
  };
}

/** Adds up days and audits by and by, beside the requests. Returns what stops it. */
async function keepBooks(
  config: Config,
  database: Database,
  log: Log,
): Promise<() => Promise<unknown>> {
  const counter = new DayCounter(database.sql, {
    everyMs: countEveryMs,
    log: (message, error) => log('warn', message, error),
  });
  await counter.start();
  const { auditIntervalMs: everyMs, auditRows: rows } = config;
  const own = database.connect({ max: 1, name: 'akai audit' });
  const audits = new AuditSchedule(own, { everyMs, rows, log });
  audits.start();
  return () => Promise.all([counter.stop(), audits.stop()]);
}

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Answers requests until the returned function is called, which waits for those under way. */
function serve(
  server: Server,
  traffic: { open: number },
  api: Api,
  pages: Listener,
  log: Log,
  drainTimeoutMs: number,
): () => Promise<void> {
  const over = (): void => {
    traffic.open -= 1;
  };
  let isStopping = false;
  server.off('request', notReady);
  server.on('request', (request, response) => {
    const url = request.url ?? '/';
    traffic.open += 1;
    if (url.startsWith('/v1/') || url === '/v1') {
      const exchange = new Exchange(request, response, over);
      if (isStopping) {
        response.setHeader('connection', 'close');
        exchange.fail(new ApiError('shutting_down', { retryAfterMs: 1000 }));
      } else answer(api, exchange).catch((error: unknown) => failed(exchange, error, log));
    } else {
      response.once('close', over);
      // Under whatever the page sets: an answer that knows its own id says that one.
      response.setHeader('x-request-id', requestIdOf(timeOrderedId()));
      void pages(request, response);
    }
  });
  server.on('clientError', refuseGarbage);
  return async () => {
    const isSecondCall = isStopping;
    isStopping = true;
    server.close();
    server.closeIdleConnections();
    const deadline = performance.now() + drainTimeoutMs;
    while (!isSecondCall && traffic.open + api.kept.running > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, drainPollMs));
      server.closeIdleConnections();
    }
    server.closeAllConnections();
    // What the cut connections owe is settled by their own requests, which see their clients leave.
    await new Promise((resolve) => setTimeout(resolve, drainMs + drainPollMs));
  };
}

/** Every error of every request ends here. */
function failed(exchange: Exchange, error: unknown, log: Log): void {
  if (error instanceof ClientLeft || exchange.left) return;
  exchange.fail(publicError(exchange, error, log));
}

function publicError(exchange: Exchange, error: unknown, log: Log): ApiError {
  // A database that is away is no empty wallet and no missing receipt.
  const told = isPassing(error) ? databaseUnavailable(error) : error;
  if (told instanceof ApiError) {
    // Where it was thrown says nothing of what was to be expected; what caused it may.
    if (told.status >= 500) log('warn', `${exchange.requestId}: ${told.message}`, causeOf(told));
    return told;
  }
  log('error', `${exchange.requestId}: the request failed`, error);
  if (error instanceof UpstreamBroken) return new ApiError('no_provider', { cause: error });
  if (error instanceof SettlementLost) return databaseUnavailable(error);
  return new ApiError('internal_error', { cause: error });
}

/** Undefined where nothing broke: a refusal, or providers that failed, which the receipt tells of. */
function causeOf({ cause }: ApiError): Error | undefined {
  return cause instanceof Error ? cause : undefined;
}

/** What is no HTTP gets an answer in the documented form all the same. */
function refuseGarbage(error: Error, socket: Socket): void {
  if (!socket.writable || errorCode(error) === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const message = 'The request is not valid HTTP.';
  const id = requestIdOf(timeOrderedId());
  const refusal = new ApiError('invalid_request', { message });
  const body = errorBody(refusal, id, 'text');
  const headers = {
    ...errorHeaders(refusal),
    'x-request-id': id,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 400 Bad Request\r\n${lines.join('')}\r\n${body}`);
}
