/** The order in which a model's offers are tried. */
import type { Offer } from '../catalogue/offers.ts';
import type { OfferHealth } from './health.ts';
import type { Preferences, Sort } from './preferences.ts';

export interface Ranked {
  readonly offer: Offer;
  readonly health: OfferHealth;
  readonly place: number;
}

/** Prompts are longer than answers; three to one is the usual blend for comparing prices. */
function blendedPrice({ prices }: Offer): number {
  return 3 * prices.input + prices.output;
}

/** By how much the price of an offer that always fails counts as higher: one that fails in a third of its calls must be a third cheaper. */
const failurePenalty = 1.5;

interface Circumstances {
  /** What the request needs that some offers lack, as bits. */
  readonly needs: number;
  /** `performance.now()` */
  readonly now: number;
}

/** What two offers are compared by, first to last; of each the lower comes first. */
type Grades = readonly number[];

/**
 * The offers in the order in which they are tried: those that can be asked now before those that should be left alone; as the
 * client ordered them; those that lack what the request needs, as probes found, last; by what it wants them sorted by; and else by price, raised by what failed lately, of two alike the
 * quicker first. Stable: what is equal stays in the order of the catalogue.
 * @param targets cheapest first
 */
export function ranked<T extends Ranked>(
  targets: readonly T[],
  wanted: Preferences,
  sort: Sort | null,
  circumstances: Circumstances,
): readonly T[] {
  const graded = targets.map((target) => ({
    target,
    grades: gradesOf(target, wanted, sort, circumstances),
  }));
  return graded.sort((one, other) => compare(one.grades, other.grades)).map(({ target }) => target);
}

function gradesOf(
  { offer, health, place: own }: Ranked,
  { order, leastThroughput, mostLatencyMs }: Preferences,
  sort: Sort | null,
  { needs, now }: Circumstances,
): Grades {
  const place = order.indexOf(offer.provider);
  const latency = health.firstByteMs(now);
  const throughput = health.throughput(now);
  const isSlow =
    (throughput !== null && throughput < leastThroughput) ||
    (latency !== null && latency > mostLatencyMs);
  const price = blendedPrice(offer);
  return [
    health.isAvailable(now) ? 0 : 1,
    place === -1 ? order.length : place,
    (health.probes.lacks & needs) === 0 ? 0 : 1,
    isSlow ? 1 : 0,
    sort === null ? own : 0,
    // What was not measured lately comes first, and is measured by that.
    ...(sort === 'latency' ? [latency ?? 0] : []),
    ...(sort === 'throughput' ? [-(throughput ?? Number.POSITIVE_INFINITY)] : []),
    sort === 'price' ? price : price * (1 + failurePenalty * health.failureShare(now)),
    // Twice as quick counts; less is chance.
    latency === null ? 0 : Math.floor(Math.log2(Math.max(1, latency))),
  ];
}

function compare(one: Grades, other: Grades): number {
  for (const [at, grade] of one.entries()) {
    const gap = grade - (other[at] ?? 0);
    // Infinity less infinity is no number: they are equal.
    if (gap !== 0 && !Number.isNaN(gap)) return gap;
  }
  return 0;
}

/** Whether two of them cost the same, so that their order is not decided by price alone. */
export function hasTie(targets: readonly Ranked[]): boolean {
  const prices = targets.map(({ offer }) => blendedPrice(offer));
  return new Set(prices).size < prices.length;
}
