/** What the operator has set for offers in place of the catalogue and the settings; it reaches every process by NOTIFY. */
import type { Model } from '../catalogue/catalogue.ts';
import type { PriceEntry } from '../catalogue/entry.ts';
import { type Margins, marginsOf } from '../catalogue/margins.ts';
import type { DatedOffer } from '../catalogue/offers.ts';
import { offerPrices } from '../catalogue/prices.ts';
import type { Sql } from '../db/database.ts';
import { rememberPrices } from '../wallet/price_versions.ts';
import type { Routes } from './choose.ts';

/** Null: as the catalogue and the settings have it. An empty provider: for all offers of the model. */
export interface Override {
  readonly model: string;
  readonly provider: string;
  readonly enabled: boolean | null;
  readonly prices: PriceEntry | null;
  /** Percent. */
  readonly margin: string | null;
  /** Lower ones are tried before those without a place. */
  readonly place: number | null;
}

export function readOverrides(sql: Sql): Promise<readonly Override[]> {
  return sql<Override[]>`
    SELECT model, provider, enabled, prices, margin, place FROM offer_overrides ORDER BY model, provider`;
}

/** All overrides, ready to be asked. */
export class Overrides {
  readonly #byOffer = new Map<string, Override>();
  readonly #margins = new Map<string, number>();

  /** @throws RangeError for a price or margin that cannot be read */
  constructor(rows: readonly Override[]) {
    for (const row of rows) {
      const name = nameOf(row.model, row.provider);
      this.#byOffer.set(name, row);
      if (row.margin !== null) this.#margins.set(name, marginsOf(row.margin, '', []).of(row.model));
      if (row.prices) offerPrices({ prices: row.prices });
    }
  }

  /** The offers of a model that are not switched off, at the prices that were set. */
  offersOf({ id, dated }: Model): readonly DatedOffer[] {
    return dated
      .filter(({ provider }) => this.#first(id, provider, 'enabled') !== false)
      .map((offer) => {
        const prices = this.#byOffer.get(nameOf(id, offer.provider))?.prices;
        if (!prices) return offer;
        return {
          ...offer,
          periods: [{ from: Number.NEGATIVE_INFINITY, prices: offerPrices({ prices }) }],
        };
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

const channel = 'offer_overrides';

export class OverrideWatch {
  readonly #sql: Sql;
  readonly #routes: Routes;
  readonly #log: (message: string, error: unknown) => void;
  #reading: Promise<void> = Promise.resolve();

  constructor(sql: Sql, routes: Routes, log: (message: string, error: unknown) => void) {
    this.#sql = sql;
    this.#routes = routes;
    this.#log = log;
  }

  /** Takes in what is set, and from then on what will be. @throws what the driver throws; RangeError for what cannot be used */
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
    // A receipt names the version of its prices: what that stands for is written down first.
    await rememberPrices(this.#sql, this.#routes.versionsWith(overrides));
    this.#routes.override(overrides);
  }
}
