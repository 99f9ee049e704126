/** `GET /metrics` for Prometheus: whether the books are right, what stands in them, and how this process is. */
import { timingSafeEqual } from 'node:crypto';
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import { type Config, isLoopback } from '../config.ts';
import type { PaymentsState } from '../payments/payments_state.ts';
import type { BooksState } from '../wallet/books_state.ts';

/** As this process sees it. */
interface RoutingState {
  /** Of real providers that are set up. */
  readonly keys: readonly {
    readonly provider: string;
    readonly count: number;
    readonly resting: number;
  }[];
  /** Offers, by name, and the states of their breakers, where these are not closed. */
  readonly breakers: readonly { readonly offer: string; readonly state: string }[];
  /** What the latest probes found; null where that is not known. */
  readonly probes: readonly {
    readonly offer: string;
    readonly probe: string;
    readonly passed: boolean | null;
  }[];
}

export interface MetricsSource {
  /** Rejects when the database does not answer. */
  readonly books: () => Promise<BooksState>;
  readonly payments: () => Promise<PaymentsState>;
  readonly routing: () => RoutingState;
  /** HTTP requests under way in this process. */
  readonly inFlight: () => number;
}

/** Forwarded by a proxy on this machine, a stranger would look like the machine itself. */
const forwarding = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'];

/** Without a METRICS_TOKEN only this machine may ask, of a sandbox that is for this machine alone. */
export function mayReadMetrics(c: Context, config: Config): boolean {
  const { metricsToken: token } = config;
  if (token !== '') return isSame(c.req.header('authorization') ?? '', `Bearer ${token}`);
  return isFromThisMachine(c, config);
}

/** Whether the one who asks sits at this machine, of a sandbox that is for it alone. */
export function isFromThisMachine(c: Context, config: Config): boolean {
  // What a proxy passes on need not say so: where one may be in front, nobody is known to be here.
  if (!isForThisMachine(config)) return false;
  if (forwarding.some((name) => c.req.header(name) !== undefined)) return false;
  // Also what the browser of this machine's user is made to ask, under some other name, is not for others.
  return isLoopback(plain(new URL(c.req.url).hostname)) && isLoopback(remoteAddress(c));
}

function isForThisMachine({ mode, trustedProxies, publicUrl, host }: Config): boolean {
  const isPublic = publicUrl !== '' && !isLoopback(plain(new URL(publicUrl).hostname));
  return mode === 'sandbox' && trustedProxies === 0 && !isPublic && isLoopback(host);
}

function remoteAddress(c: Context): string {
  try {
    return plain(getConnInfo(c).remote.address ?? '');
  } catch {
    return '';
  }
}

function plain(address: string): string {
  return address.replace(/^\[|\]$|^::ffff:/g, '');
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

type Value = number | string | null;
interface Sample {
  readonly labels?: string;
  /** Null where it is not known. */
  readonly value: Value;
}

class Page {
  #lines: string[] = [];

  add(name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): void {
    const known = samples.filter(({ value }) => value !== null);
    if (known.length === 0) return;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of known)
      this.#lines.push(`${name}${labels ? `{${labels}}` : ''} ${value}`);
  }

  one(name: string, type: 'gauge' | 'counter', help: string, value: Value): void {
    this.add(name, type, help, [{ value }]);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

const patienceMs = 2000;

/** The text that Prometheus reads. A silent database leaves out the books, and says so. */
export async function metricsText(source: MetricsSource): Promise<string> {
  const { books, payments, routing, inFlight } = source;
  const page = new Page();
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, patienceMs, null);
  const [state, paid] = await Promise.all([
    Promise.race([books().catch(() => null), late]),
    Promise.race([payments().catch(() => null), late]),
  ]);
  clearTimeout(timer);
  page.one('akai_database_up', 'gauge', 'Whether the database answered.', state ? 1 : 0);
  if (state) addBooks(page, state);
  if (paid) addPayments(page, paid);
  addRouting(page, routing());
  addProcess(page, inFlight());
  return page.toString();
}

function addBooks(page: Page, state: BooksState): void {
  const ok = state.runs > 0 || state.findings > 0 ? Number(state.findings === 0) : null;
  page.one('akai_audit_ok', 'gauge', 'Whether no row of the books is known to lie.', ok);
  page.one('akai_audit_findings', 'gauge', 'Rows of the books that lie.', state.findings);
  page.one('akai_audit_runs_total', 'counter', 'Scheduled audits.', state.runs);
  const last: readonly [string, string, Value][] = [
    ['age_seconds', 'Since the last scheduled audit.', state.ageSeconds],
    ['duration_seconds', 'What the last scheduled audit took.', state.seconds],
    ['rows', 'Rows that the last scheduled audit checked.', state.rows],
  ];
  for (const [name, help, value] of last)
    page.one(`akai_audit_last_run_${name}`, 'gauge', help, value);
  const passes: readonly [string, string, 'ageSeconds' | 'seconds' | 'rows'][] = [
    ['age_seconds', 'Since all rows of this part were last checked.', 'ageSeconds'],
    ['duration_seconds', 'What it took to check all rows of this part.', 'seconds'],
    ['rows', 'Rows of this part.', 'rows'],
  ];
  for (const [name, help, field] of passes)
    page.add(
      `akai_audit_pass_${name}`,
      'gauge',
      help,
      state.scans.map((scan) => ({ labels: `part="${scan.scope}"`, value: scan[field] })),
    );
  page.one('akai_holds_open', 'gauge', 'Requests for which money is held.', state.holds);
  page.one('akai_holds_open_nanousd', 'gauge', 'What they hold, in nano-USD.', state.held);
  addTotals(page, state);
}

/** Name of a metric, its label, the first word of the totals that it shows, its help. */
const shown: readonly (readonly [string, string, string, string])[] = [
  ['akai_requests_ended', 'outcome', 'requests', 'Requests by how they ended.'],
  ['akai_transfers', 'kind', 'count', 'Transfers by kind.'],
  [
    'akai_transfers_nanousd',
    'kind',
    'amount',
    'Their sums, in nano-USD; losses are the operator’s.',
  ],
  [
    'akai_balance_nanousd',
    'account',
    'balance',
    'Balances of all wallets and of the platform’s accounts, in nano-USD.',
  ],
  ['akai_wallets', '', 'wallets', 'Wallets.'],
];

function addTotals(page: Page, { scans }: BooksState): void {
  const totals = scans.flatMap((scan) => Object.entries(scan.totals));
  for (const [name, label, first, help] of shown) {
    const samples = totals
      .filter(([total]) => total.split(' ')[0] === first)
      .map(([total, value]) => ({
        labels: label && `${label}="${total.slice(first.length + 1)}"`,
        value,
      }));
    page.add(name, 'gauge', `${help} As of the last pass of the audit.`, samples);
  }
}

function addPayments(page: Page, state: PaymentsState): void {
  const lines: readonly [string, string, number][] = [
    ['open', 'Payments that may still be paid.', state.open],
    ['to_review', 'Payments that need a person.', state.needsReview],
    ['to_review_oldest_seconds', 'Since the oldest of these was begun.', state.oldestReviewSeconds],
    ['uncredited', 'Payments that are paid, due, and not credited.', state.uncredited],
    ['uncredited_oldest_seconds', 'Since the oldest of these was due.', state.uncreditedSeconds],
    ['unmatched', 'Receipts of money that fit no payment.', state.unmatched],
    ['differences', 'Payments of 30 days that differ at their provider.', state.differences],
  ];
  for (const [name, help, value] of lines) page.one(`akai_payments_${name}`, 'gauge', help, value);
  const help = 'Refunds of which something is still to be found out.';
  page.one('akai_payment_refunds_open', 'gauge', help, state.refundsOpen);
}

function addRouting(page: Page, { keys, breakers, probes }: RoutingState): void {
  page.add(
    'akai_provider_keys',
    'gauge',
    'Keys that are set for a provider.',
    keys.map(({ provider, count }) => ({ labels: `provider="${provider}"`, value: count })),
  );
  page.add(
    'akai_provider_keys_resting',
    'gauge',
    'Keys of a provider that are left alone for now.',
    keys.map(({ provider, resting }) => ({ labels: `provider="${provider}"`, value: resting })),
  );
  for (const state of ['open', 'half-open'] as const) {
    const offers = breakers.filter((breaker) => breaker.state === state);
    const name = `akai_offers_${state.replace('-', '_')}`;
    page.one(name, 'gauge', `Offers whose circuit breaker is ${state}.`, offers.length);
    page.add(
      name.replace('offers', 'offer'),
      'gauge',
      `Each offer whose circuit breaker is ${state}.`,
      offers.map(({ offer }) => ({ labels: `offer="${offer}"`, value: 1 })),
    );
  }
  page.add(
    'akai_probe_passed',
    'gauge',
    'Whether the latest probe of an offer passed.',
    probes.map(({ offer, probe, passed }) => ({
      labels: `offer="${offer}",probe="${probe}"`,
      value: passed === null ? null : Number(passed),
    })),
  );
}

function addProcess(page: Page, inFlight: number): void {
  const loop = performance.eventLoopUtilization();
  const { user, system } = process.cpuUsage();
  page.one(
    'akai_http_requests_in_flight',
    'gauge',
    'Requests under way in this process.',
    inFlight,
  );
  const seconds: readonly [string, string, number][] = [
    [
      'nodejs_eventloop_active_seconds_total',
      'Time in which the event loop worked.',
      loop.active / 1000,
    ],
    [
      'nodejs_eventloop_idle_seconds_total',
      'Time in which the event loop waited.',
      loop.idle / 1000,
    ],
    ['process_cpu_seconds_total', 'Processor time of this process.', (user + system) / 1e6],
  ];
  for (const [name, help, value] of seconds) page.one(name, 'counter', help, value);
  page.one(
    'process_resident_memory_bytes',
    'gauge',
    'Memory of this process.',
    process.memoryUsage.rss(),
  );
  page.one(
    'process_start_time_seconds',
    'gauge',
    'When this process started.',
    performance.timeOrigin / 1000,
  );
}
