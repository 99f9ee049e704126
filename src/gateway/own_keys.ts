/**
 * Offers asked with keys that an account brought itself: at the fee's price, by nobody else, and with no bearing on what others
 * are offered. Where the keys do not do, the wallet pays only if the account has said so of each of them.
 */
import {
  noteProviderKeyError,
  type OpenedKey,
  openProviderKeys,
  whyNoOwnKey,
} from '../accounts/provider_keys.ts';
import { type Model, type Provider, providers } from '../catalogue/catalogue.ts';
import { parsePercent } from '../catalogue/margins.ts';
import { type Offer, ownKeyOffer } from '../catalogue/offers.ts';
import { type Config, isWhole } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import { OfferHealth } from './health.ts';
import { addressOf, serviceAccountSession } from './key_session.ts';
import { KeyRing, type OwnKeyUse } from './provider_keys.ts';
import { headersWith, type OwnOffers, type Target, targetOf } from './target.ts';

/** Left alone by nothing: what its owner wants asked with it is asked, rather than paid from the wallet. */
class OwnHealth extends OfferHealth {
  constructor(name: string) {
    super(name, () => {});
  }

  override isAvailable(): boolean {
    return true;
  }
}

/** What is not written down again, being known: the same failure within this time; ms. */
const sameErrorMs = 10_000;

/** One of them, ready to ask with. */
class OwnKey implements OwnKeyUse {
  readonly providerName: string;
  readonly lastFour: string;
  readonly ring: KeyRing;
  /** Of its provider, for whoever has this key. */
  readonly baseUrl: string;
  readonly health: OfferHealth;
  readonly #note: (error: string) => void;
  #noted = { error: '', at: Number.NEGATIVE_INFINITY };

  constructor(
    id: string,
    lastFour: string,
    text: string,
    provider: Provider,
    { googleTokenUrl, providers: access }: Config,
    note: (error: string) => void,
  ) {
    this.providerName = provider.name;
    this.lastFour = lastFour;
    const sessionOf = () =>
      provider.key === 'service-account' ? serviceAccountSession(text, googleTokenUrl) : null;
    this.ring = new KeyRing(provider.id, text, headersWith(provider.dialect), () => {}, sessionOf);
    this.baseUrl = addressOf(access.get(provider.id)?.baseUrl || provider.baseUrl, text);
    this.health = new OwnHealth(`${provider.id}, key ${id}`);
    this.#note = note;
  }

  refused(error: string): void {
    const now = performance.now();
    if (error === this.#noted.error && now - this.#noted.at < sameErrorMs) return;
    this.#noted = { error, at: now };
    this.#note(error);
  }
}

interface Known {
  readonly fallback: boolean;
  /** Why it cannot be asked with. */
  readonly trouble: string | null;
  readonly key: OwnKey | null;
}

/** What an account has brought. */
class AccountKeys implements OwnOffers {
  readonly #source: OwnKeys;
  /** By provider. */
  readonly #keys: ReadonlyMap<string, readonly Known[]>;

  constructor(source: OwnKeys, keys: ReadonlyMap<string, readonly Known[]>) {
    this.#source = source;
    this.#keys = keys;
  }

  targetsOf(model: Model, offers: readonly Offer[]): readonly Target[] {
    const brought = offers.flatMap((offer) =>
      (this.#keys.get(offer.provider) ?? []).map((known) => ({ ...known, offer })),
    );
    if (brought.length === 0) return [];
    const mayFall = brought.every(({ fallback }) => fallback);
    const targets = brought.flatMap(({ key, offer }) =>
      key ? [this.#source.target(key, model, offer, mayFall)] : [],
    );
    if (targets.length > 0 || mayFall) return targets;
    const trouble = brought.find((known) => known.trouble !== null)?.trouble;
    throw new ApiError('own_key_unusable', trouble ? { message: trouble } : {});
  }
}

/** Reads and opens the keys of accounts. */
export class OwnKeys {
  readonly #sql: Sql;
  readonly #config: Config;
  readonly #secret: string;
  readonly #log: (message: string, error: unknown) => void;
  /** Millionths of the usual prices. */
  readonly #fee: number;
  /** The fee's prices, by the offer that they are of. */
  readonly #offers = new WeakMap<Offer, Offer>();

  /** @param secret the installation's */
  constructor(
    sql: Sql,
    config: Config,
    secret: string,
    log: (message: string, error: unknown) => void,
  ) {
    this.#sql = sql;
    this.#config = config;
    this.#secret = secret;
    this.#log = log;
    this.#fee = parsePercent(config.ownKeyFeePercent);
  }

  /** Null for an account without any, which most are. @throws what the driver throws */
  async of(userId: string): Promise<OwnOffers | null> {
    const opened = await openProviderKeys(this.#sql, this.#secret, userId);
    if (opened.length === 0) return null;
    const known = Map.groupBy(opened, ({ provider }) => provider);
    return new AccountKeys(
      this,
      new Map(
        [...known].map(([provider, keys]) => [provider, keys.map((key) => this.#known(key))]),
      ),
    );
  }

  /** The same offer, paid to the provider by the owner of the key, and at what price. */
  #priced(offer: Offer): Offer {
    const known = this.#offers.get(offer);
    if (known) return known;
    const made = ownKeyOffer(offer, this.#fee);
    this.#offers.set(offer, made);
    return made;
  }

  target(key: OwnKey, model: Model, offer: Offer, mayFall: boolean): Target {
    const provider = providers.get(offer.provider);
    if (!provider) throw new RangeError(`There is no provider ${offer.provider}.`);
    const of = { model, health: key.health, isReal: true, place: Number.POSITIVE_INFINITY };
    return { ...targetOf(this.#priced(offer), of, key.baseUrl, key.ring), own: { key, mayFall } };
  }

  #known({ id, provider, lastFour, fallback, text }: OpenedKey): Known {
    const refusal = whyNoOwnKey(this.#config, provider);
    const company = providers.get(provider);
    const name = company?.name ?? provider;
    const trouble =
      refusal ??
      (text === null
        ? `Your own key for ${name} (…${lastFour}) cannot be read any more: the secret of this installation is another one. Add it again.`
        : null);
    const note = (error: string): void => {
      noteProviderKeyError(this.#sql, id, error).catch((cause: unknown) =>
        this.#log('what a provider said against an own key was not written down', cause),
      );
    };
    if (trouble !== null || text === null || !company) return { fallback, trouble, key: null };
    const key = new OwnKey(id, lastFour, text, company, this.#config, note);
    if (isWhole(key.baseUrl)) return { fallback, trouble, key };
    const nowhere = `Your own key for ${name} (…${lastFour}) does not say where to ask with it. Add it again.`;
    return { fallback, trouble: nowhere, key: null };
  }
}
