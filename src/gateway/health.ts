/**
 * How each offer has been doing lately: whether it answers, how soon and how fast, and its circuit breaker. In memory;
 * routing reads it and waits for nothing. Times are ms of one clock that does not jump.
 */

import { OfferProbes } from './probe_results.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** When a breaker opens: after so many failures in a row, or where this share of the calls of a window failed. */
const mostConsecutive = 5;
const windowMs = 30_000;
const windowCalls = 20;
const windowShare = 0.5;
/** How long it stays open at first, and at most; each failed trial doubles it. */
const openMs = 10_000;
const longestOpenMs = 120_000;
/** A trial whose end nobody has told of by then does not block the next one. */
const longestTrialMs = 60_000;
/** How far one call moves what is known of an offer. */
const pace = 0.2;
/** What failed counts half after this time: an offer that is passed over must get another chance. */
const halfLifeMs = 30_000;
/** A share of failures below it is no reason to look closer. */
const calmShare = 0.05;
/** What was measured is forgotten after this time. */
const staleMs = 600_000;
const recentMs = 300_000;
const sampleCount = 64;
const minuteMs = 60_000;
const uptimeMinutes = 30;

/** What one process tells the others of a breaker. `until`: ms of the clock; null when it closed. */
type OnBreaker = (name: string, until: number | null, reason: string) => void;

/** What people are shown; null where nothing is known. */
export interface HealthReport {
  readonly status: BreakerState;
  /** Ms to the first byte: the median of the last five minutes. */
  readonly latencyMs: number | null;
  /** Tokens of output a second: the median of the last five minutes. */
  readonly throughput: number | null;
  /** Share of the calls of the last half hour that did not fail. */
  readonly uptime: number | null;
}

/** What one process tells the others: of the last half hour, and medians of the last five minutes with how many they are of. */
export interface Figures {
  readonly calls: number;
  readonly failures: number;
  readonly latency: number | null;
  readonly latencies: number;
  readonly throughput: number | null;
  readonly throughputs: number;
}

/** The last measurements, with their times. */
class Samples {
  readonly #values = new Float64Array(sampleCount);
  readonly #times = new Float64Array(sampleCount);
  #count = 0;

  add(value: number, now: number): void {
    const at = this.#count % sampleCount;
    this.#values[at] = value;
    this.#times[at] = now;
    this.#count += 1;
  }

  /** Of the last minutes, and of how many. */
  median(now: number): readonly [number | null, number] {
    const values = [...this.#values.subarray(0, Math.min(this.#count, sampleCount))];
    const recent = values.filter((_, at) => now - (this.#times[at] ?? 0) < recentMs);
    const middle = recent.sort((a, b) => a - b)[Math.floor(recent.length / 2)] ?? null;
    return [middle, recent.length];
  }
}

/** Calls by the minute in which they ended. */
class Minutes {
  readonly #minutes = new Float64Array(uptimeMinutes).fill(-1);
  readonly #calls = new Uint32Array(uptimeMinutes);
  readonly #failures = new Uint32Array(uptimeMinutes);

  add(now: number, failures: number): void {
    const minute = Math.floor(now / minuteMs);
    const at = minute % uptimeMinutes;
    if (this.#minutes[at] !== minute) {
      this.#minutes[at] = minute;
      this.#calls[at] = 0;
      this.#failures[at] = 0;
    }
    this.#calls[at] = (this.#calls[at] ?? 0) + 1;
    this.#failures[at] = (this.#failures[at] ?? 0) + failures;
  }

  sums(now: number): { readonly calls: number; readonly failures: number } {
    const oldest = Math.floor(now / minuteMs) - uptimeMinutes;
    let calls = 0;
    let failures = 0;
    for (let at = 0; at < uptimeMinutes; at += 1) {
      if ((this.#minutes[at] ?? -1) <= oldest) continue;
      calls += this.#calls[at] ?? 0;
      failures += this.#failures[at] ?? 0;
    }
    return { calls, failures };
  }
}

export class OfferHealth {
  /** `author/model@provider` */
  readonly name: string;
  /** Nothing speaks against it: routing need not look closer. */
  isCalm = true;
  readonly probes = new OfferProbes();
  /** What other processes have measured. */
  others: readonly Figures[] = [];
  readonly #onBreaker: OnBreaker;
  #consecutive = 0;
  #window = { from: 0, calls: 0, failures: 0 };
  #failing = 0;
  #failingAt = 0;
  /** Null while the breaker is closed. */
  #openUntil: number | null = null;
  #openings = 0;
  #trialAt: number | null = null;
  #limitedUntil = 0;
  #firstByteMs = 0;
  #firstByteAt = Number.NEGATIVE_INFINITY;
  #throughput = 0;
  #throughputAt = Number.NEGATIVE_INFINITY;
  readonly #latencies = new Samples();
  readonly #throughputs = new Samples();
  readonly #minutes = new Minutes();

  constructor(name: string, onBreaker: OnBreaker) {
    this.name = name;
    this.#onBreaker = onBreaker;
  }

  state(now: number): BreakerState {
    if (this.#openUntil === null) return 'closed';
    return now < this.#openUntil ? 'open' : 'half-open';
  }

  /** Whether it should be asked before those that are not: closed, or half-open with nobody trying it, and not told to wait. */
  isAvailable(now: number): boolean {
    if (now < this.#limitedUntil) return false;
    if (this.#openUntil === null) return true;
    if (now < this.#openUntil) return false;
    return this.#trialAt === null || now - this.#trialAt > longestTrialMs;
  }

  /** Says that it is being asked. False where another should be, if there is one: of a half-open breaker one call is let through. */
  begin(now: number): boolean {
    if (this.isCalm) return true;
    if (!this.isAvailable(now)) return false;
    if (this.#openUntil !== null) this.#trialAt = now;
    return true;
  }

  /** It began to answer, or has refused what it would refuse anybody. @param firstByteMs null where that says nothing about its speed */
  succeeded(now: number, firstByteMs: number | null): void {
    this.#minutes.add(now, 0);
    this.#count(now, 0);
    this.#consecutive = 0;
    this.#limitedUntil = 0;
    if (firstByteMs !== null) {
      this.#firstByteMs = moved(this.firstByteMs(now), firstByteMs);
      this.#firstByteAt = now;
      this.#latencies.add(firstByteMs, now);
    }
    if (this.#openUntil !== null) {
      this.#close();
      this.#onBreaker(this.name, null, 'it answered');
    }
    if (!this.isCalm) this.isCalm = this.failureShare(now) < calmShare;
  }

  failed(now: number, reason: string): void {
    this.isCalm = false;
    this.#minutes.add(now, 1);
    this.#count(now, 1);
    this.#consecutive += 1;
    const wasTrial = this.#openUntil !== null && now >= this.#openUntil;
    const { calls, failures } = this.#window;
    const isBad = calls >= windowCalls && failures >= calls * windowShare;
    if (wasTrial || (this.#openUntil === null && (isBad || this.#consecutive >= mostConsecutive)))
      this.#open(now, reason);
  }

  /** The call ended without saying anything about the offer. */
  dropped(): void {
    this.#trialAt = null;
  }

  /** It asked to be left alone until then. */
  limited(until: number): void {
    this.isCalm = false;
    this.#trialAt = null;
    this.#limitedUntil = Math.max(this.#limitedUntil, until);
  }

  /** Ms for which it still wants to be left alone. */
  limitedFor(now: number): number {
    return Math.max(0, this.#limitedUntil - now);
  }

  /** What it delivered after its first byte. @param tokens of output, @param ms that they took */
  delivered(tokens: number, ms: number, now: number): void {
    if (tokens < 8 || ms <= 0) return;
    const speed = (tokens * 1000) / ms;
    this.#throughput = moved(this.throughput(now), speed);
    this.#throughputAt = now;
    this.#throughputs.add(speed, now);
  }

  /** What another process has found; null: closed. */
  heard(until: number | null): void {
    if (until === null) {
      if (this.#openUntil !== null) this.#close();
      return;
    }
    this.isCalm = false;
    this.#trialAt = null;
    this.#openUntil = Math.max(this.#openUntil ?? 0, until);
  }

  /** Of recent calls the share that failed, from 0 to 1. */
  failureShare(now: number): number {
    if (this.#failing === 0) return 0;
    return this.#failing * 0.5 ** ((now - this.#failingAt) / halfLifeMs);
  }

  /** Ms on average, or what other processes have measured; null where nobody did lately. */
  firstByteMs(now: number): number | null {
    if (now - this.#firstByteAt < staleMs) return this.#firstByteMs;
    return middleOf(this.others.map(({ latency, latencies }) => [latency, latencies]));
  }

  /** Tokens a second on average, or what other processes have measured; null where nobody did lately. */
  throughput(now: number): number | null {
    if (now - this.#throughputAt < staleMs) return this.#throughput;
    return middleOf(this.others.map(({ throughput, throughputs }) => [throughput, throughputs]));
  }

  /** What this process has measured. */
  figures(now: number): Figures {
    const [latency, latencies] = this.#latencies.median(now);
    const [throughput, throughputs] = this.#throughputs.median(now);
    return { ...this.#minutes.sums(now), latency, latencies, throughput, throughputs };
  }

  /** What all processes have. */
  report(now: number): HealthReport {
    const all = [this.figures(now), ...this.others];
    const calls = all.reduce((sum, one) => sum + one.calls, 0);
    const failures = all.reduce((sum, one) => sum + one.failures, 0);
    return {
      status: this.state(now),
      latencyMs: middleOf(all.map(({ latency, latencies }) => [latency, latencies])),
      throughput: middleOf(all.map(({ throughput, throughputs }) => [throughput, throughputs])),
      uptime: calls === 0 ? null : (calls - failures) / calls,
    };
  }

  #count(now: number, failure: 0 | 1): void {
    if (failure === 0 && this.#failing === 0) {
      this.#failingAt = now;
    } else {
      const before = this.failureShare(now);
      const after = before + (failure - before) * pace;
      this.#failing = after < 0.001 ? 0 : after;
      this.#failingAt = now;
    }
    if (now - this.#window.from > windowMs) this.#window = { from: now, calls: 0, failures: 0 };
    this.#window.calls += 1;
    this.#window.failures += failure;
  }

  #open(now: number, reason: string): void {
    const ms = Math.min(longestOpenMs, openMs * 2 ** this.#openings);
    this.#openings += 1;
    this.#trialAt = null;
    this.#openUntil = now + ms;
    this.#onBreaker(this.name, this.#openUntil, reason);
  }

  #close(): void {
    this.#openUntil = null;
    this.#openings = 0;
    this.#trialAt = null;
    this.#consecutive = 0;
    this.#window = { from: 0, calls: 0, failures: 0 };
  }
}

/** The median of medians, each counting as often as it has measurements. */
function middleOf(medians: readonly (readonly [number | null, number])[]): number | null {
  const known = medians
    .flatMap(([value, count]) => (value === null ? [] : [{ value, count }]))
    .sort((one, other) => one.value - other.value);
  let left = Math.floor(known.reduce((sum, { count }) => sum + count, 0) / 2);
  for (const { value, count } of known) {
    left -= count;
    if (left < 0) return value;
  }
  return known.at(-1)?.value ?? null;
}

function moved(before: number | null, to: number): number {
  return before === null ? to : before + (to - before) * pace;
}

/** What one process tells the others of a key that does not work. `until`: ms of the clock; null where it does again. */
type OnBenched = (name: string, until: number | null, reason: string) => void;

/** Every offer's, by name: it outlives routes, which are made anew when a price changes. */
export class Healths {
  /** Tells of breakers that opened or closed by what this process saw. */
  onBreaker: OnBreaker = () => {};
  onBenched: OnBenched = () => {};
  readonly #offers = new Map<string, OfferHealth>();

  all(): Iterable<OfferHealth> {
    return this.#offers.values();
  }

  of(name: string): OfferHealth {
    const known = this.#offers.get(name);
    if (known) return known;
    const made = new OfferHealth(name, (...change) => this.onBreaker(...change));
    this.#offers.set(name, made);
    return made;
  }
}
