/** What the operator has set for offers in place of the catalogue and the settings; it reaches every process by NOTIFY. */
import type { Model } from '../catalogue/catalogue.ts';
import { type PriceEntry, sources, type TierEntry } from '../catalogue/entry.ts';
import { type Margins, marginsOf, mostMargin } from '../catalogue/margins.ts';
import type { DatedOffer } from '../catalogue/offers.ts';
import { offerPrices, type Period, withMargin } from '../catalogue/prices.ts';
import type { Sql } from '../db/database.ts';
import { rememberPrices } from '../wallet/price_versions.ts';
import type { Routes } from './choose.ts';

/** What takes the place of an offer's prices and tiers. */
export interface PricesSet extends PriceEntry {
  readonly tiers?: readonly TierEntry[];
}

/** Null: as the catalogue and the settings have it. An empty provider: for all offers of the model. */
export interface Override {
  readonly model: string;
  readonly provider: string;
  readonly enabled: boolean | null;
  readonly prices: PricesSet | null;
  /** Percent. */
  readonly margin: string | null;
  /** Lower ones are tried before those without a place. */
  readonly place: number | null;
  readonly changedAt: Date;
}

export function readOverrides(sql: Sql): Promise<readonly Override[]> {
  return sql<Override[]>`
    SELECT model, provider, enabled, prices, margin, place, changed_at AS "changedAt" FROM offer_overrides ORDER BY model, provider`;
}

/** All overrides, ready to be asked. */
export class Overrides {
  /** Prices and margins that cannot be read, and so are as if they were not set: one sentence each. */
  readonly unreadable: readonly string[];
  readonly #byOffer = new Map<string, Override>();
  readonly #margins = new Map<string, number>();
  readonly #periods = new Map<string, Period>();

  constructor(rows: readonly Override[]) {
    const unreadable: string[] = [];
    const read = (name: string, what: string, take: () => void): void => {
      try {
        take();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        unreadable.push(`${what} of ${name}: ${reason}`);
      }
    };
    for (const { model, provider, margin, prices, ...rest } of rows) {
      const name = nameOf(model, provider);
      this.#byOffer.set(name, { model, provider, margin, prices, ...rest });
      if (margin !== null)
        read(name, 'margin', () => this.#margins.set(name, marginsOf(margin, '', []).of(model)));
      if (prices !== null)
        read(name, 'prices', () => this.#periods.set(name, periodOf(prices, rest.changedAt)));
    }
    this.unreadable = unreadable;
  }

  /** The offers of a model that are not switched off, at the prices that were set. */
  offersOf({ id, dated }: Model): readonly DatedOffer[] {
    return dated
      .filter(({ provider }) => this.#first(id, provider, 'enabled') !== false)
      .map((offer) => {
        const period = this.#periods.get(nameOf(id, offer.provider));
        return period ? { ...offer, periods: [period] } : offer;
      });
  }

  /** Infinity for an offer without one. */
  placeOf(model: string, provider: string): number {
    return this.#byOffer.get(nameOf(model, provider))?.place ?? Number.POSITIVE_INFINITY;
  }

  /** @param settings what holds where nothing is set */
  over(settings: Margins): Margins {
    return {
      of: (model, provider = '') =>
        this.#margins.get(nameOf(model, provider)) ??
        this.#margins.get(nameOf(model, '')) ??
        settings.of(model),
    };
  }

  #first(model: string, provider: string, field: 'enabled'): boolean | null {
    const own = this.#byOffer.get(nameOf(model, provider))?.[field];
    return own ?? this.#byOffer.get(nameOf(model, ''))?.[field] ?? null;
  }
}

function nameOf(model: string, provider: string): string {
  return `${model}@${provider}`;
}

/** @throws Error for prices that cannot be read, or that some margin would make too large */
function periodOf({ tiers, ...base }: PricesSet, changedAt: Date): Period {
  const prices = offerPrices({ prices: base, ...(tiers ? { tiers } : {}) });
  withMargin(prices, mostMargin);
  const provenance = { source: sources.operator, asOf: changedAt.toISOString().slice(0, 10) };
  return { from: Number.NEGATIVE_INFINITY, prices, provenance };
}

const channel = 'offer_overrides';

export class OverrideWatch {
  readonly #sql: Sql;
  readonly #routes: Routes;
  readonly #log: (message: string, error?: unknown) => void;
  #reading: Promise<void> = Promise.resolve();

  constructor(sql: Sql, routes: Routes, log: (message: string, error?: unknown) => void) {
    this.#sql = sql;
    this.#routes = routes;
    this.#log = log;
  }

  /** Takes in what is set, and from then on what will be. @throws what the driver throws */
  async start(): Promise<void> {
    await this.#read();
    const readAgain = (): void => {
      this.#reading = this.#reading
        .then(() => this.#read())
        .catch((error: unknown) => this.#log('what was set for offers is not in force', error));
    };
    // Also after each reconnection: what was said meanwhile was not heard.
    await this.#sql.listen(channel, readAgain, readAgain);
  }

  async #read(): Promise<void> {
    const overrides = new Overrides(await readOverrides(this.#sql));
    // One mistake in a table must not keep the service from its other offers.
    for (const sentence of overrides.unreadable)
      this.#log(`what was set for an offer cannot be read and is left out: ${sentence}`);
    // A receipt names the version of its prices: what that stands for is written down first.
    await rememberPrices(this.#sql, this.#routes.versionsWith(overrides));
    this.#routes.override(overrides);
  }
}
