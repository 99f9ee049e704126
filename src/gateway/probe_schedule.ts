/** Probes all offers by and by while the service runs, and keeps and hears what probes find. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../db/database.ts';
import type { Routes } from './choose.ts';
import { type ProbeResult, probeOffer } from './probe.ts';
import { type ProbeName, probeNames } from './probe_results.ts';
import { realTargets } from './routing_state.ts';
import type { Target } from './target.ts';
import type { Upstreams } from './upstream.ts';

/** Providers that are asked at a time; each of them is asked one thing at a time. */
const mostProviders = 4;
const firstAfterMs = 5000;
const patienceMs = 1000;

/** Writes a result down; every process hears of it. @throws what the driver throws */
export async function noteProbe(sql: Sql, result: ProbeResult): Promise<void> {
  const { offer, probe, passed, ms, inputTokens, outputTokens, cost } = result;
  const reason = result.reason.toWellFormed().replaceAll('\0', '');
  await sql`
    SELECT probe_note(${offer}, ${probe}, ${passed}, ${reason}, ${ms}, ${inputTokens}, ${outputTokens}, ${cost})`;
}

/** Does the work for the targets of each provider, of some providers at a time. */
export async function byProvider(
  targets: readonly Target[],
  work: (provider: string, targets: readonly Target[]) => Promise<void>,
): Promise<void> {
  const groups = Map.groupBy(targets, ({ offer }) => offer.provider).entries();
  const worker = async (): Promise<void> => {
    for (const [provider, own] of groups) await work(provider, own);
  };
  await Promise.all(Array.from({ length: mostProviders }, worker));
}

interface ScheduleSettings {
  /** From the beginning of one round to the next, in ms; 0 for none. */
  readonly everyMs: number;
  readonly log: (message: string, error: unknown) => void;
}

export class ProbeSchedule {
  readonly #sql: Sql;
  readonly #routes: Routes;
  readonly #upstreams: Upstreams;
  readonly #settings: ScheduleSettings;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(sql: Sql, routes: Routes, upstreams: Upstreams, settings: ScheduleSettings) {
    this.#sql = sql;
    this.#routes = routes;
    this.#upstreams = upstreams;
    this.#settings = settings;
  }

  start(): void {
    if (this.#settings.everyMs > 0) this.#plan(firstAfterMs);
  }

  /** Ends what is under way, and waits a moment for that. */
  async stop(): Promise<void> {
    this.#stop.abort();
    if (this.#timer) clearTimeout(this.#timer);
    const over = new AbortController();
    const late = sleep(patienceMs, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([this.#running, late]);
    over.abort();
  }

  #plan(waitMs: number): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      const startedAt = performance.now();
      this.#running = this.#round().then(() => {
        this.#plan(Math.max(0, startedAt + this.#settings.everyMs - performance.now()));
      });
    }, waitMs);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const { log } = this.#settings;
    await byProvider(realTargets(this.#routes), (provider, targets) =>
      this.#turn(provider, targets).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) log(`the offers of ${provider} could not be probed`, error);
      }),
    );
  }

  /** One provider, if no other process has its turn; those first that were not probed for longest. */
  async #turn(provider: string, targets: readonly Target[]): Promise<void> {
    const { everyMs } = this.#settings;
    const stop = this.#stop.signal;
    if (stop.aborted) return;
    // A little less, so that a round which begins early is not put off by a whole one.
    const [claim] = await this.#sql<{ mine: boolean }[]>`
      SELECT probe_claim(${provider}, ${Math.floor(everyMs * 0.9)}) AS mine`;
    if (!claim?.mine) return;
    const until = performance.now() + everyMs * 0.9;
    const order = targets.toSorted(
      (one, other) => one.health.probes.checkedAt - other.health.probes.checkedAt,
    );
    for (const target of order) {
      // By then it is the turn of whoever claims it next.
      if (performance.now() > until) return;
      for await (const result of probeOffer(this.#upstreams, target, stop))
        await noteProbe(this.#sql, result);
    }
  }
}

interface Heard {
  readonly offer: string;
  readonly probe: ProbeName;
  readonly passed: boolean | null;
  /** Ms since 1970. */
  readonly at: number;
}

const channel = 'offer_probes';

/** Takes in what was found out before, and from then on what any process finds. @throws what the driver throws */
export async function hearProbes(
  sql: Sql,
  { healths, versions }: Routes,
  log: (message: string, error: unknown) => void,
): Promise<void> {
  const names = [...new Set(versions.map(({ model, provider }) => `${model}@${provider}`))];
  const recall = async (): Promise<void> => {
    const rows = await lastProbes(sql, names, true);
    for (const { offer, probe, passed, at } of rows)
      if (passed !== null) healths.of(offer).probes.found(probe, passed, at.getTime());
  };
  await recall();
  await sql.listen(
    channel,
    (text) => {
      const { offer, probe, passed, at }: Heard = JSON.parse(text);
      // What could not be found out changes nothing.
      if (passed === null) return;
      const health = healths.of(offer);
      health.probes.found(probe, passed, at);
      if (probe !== 'plain') return;
      if (passed) health.succeeded(performance.now(), null);
      else health.failed(performance.now(), 'its probe failed');
    },
    // Also after each reconnection: what was said meanwhile was not heard.
    () => {
      recall().catch((error: unknown) => log('what probes have found is not known', error));
    },
  );
}

export interface ProbeRow extends ProbeResult {
  readonly at: Date;
}

/** The latest result of each probe of these offers. @param onlyKnown leaves out what could not be found out */
export function lastProbes(
  sql: Sql,
  offers: readonly string[],
  onlyKnown: boolean,
): Promise<readonly ProbeRow[]> {
  return sql<ProbeRow[]>`
    SELECT offer, probe, at, passed, reason, ms, input_tokens AS "inputTokens", output_tokens AS "outputTokens", cost
    FROM unnest(${[...offers]}::text[]) WITH ORDINALITY AS o (name, place)
    CROSS JOIN unnest(${[...probeNames]}::text[]) WITH ORDINALITY AS p (kind, step)
    CROSS JOIN LATERAL (
      SELECT * FROM offer_probes
      WHERE offer = o.name AND probe = p.kind AND (passed IS NOT NULL OR NOT ${onlyKnown})
      ORDER BY at DESC LIMIT 1
    ) last ORDER BY place, step`;
}
