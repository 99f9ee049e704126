/** The operator's keys of every provider, with their limits; made once, since what is known of them outlives the routes. */
import { type Provider, providers } from '../catalogue/catalogue.ts';
import type { Config } from '../config.ts';
import { StartError } from '../db/start-error.ts';
import type { Healths } from './health.ts';
import { type KeyLimit, metersOf, parseKeyLimits } from './key_limits.ts';
import { serviceAccountSession } from './key_session.ts';
import { KeyRing, keyTexts, type ProviderKey } from './provider_keys.ts';
import { headersWith } from './target.ts';

export class KeyRings {
  readonly #tokenUrl: string;
  readonly #healths: Healths;
  readonly #limits: ReadonlyMap<string, readonly KeyLimit[]>;
  /** By provider and setting. */
  readonly #rings = new Map<string, KeyRing>();

  /** @throws StartError for limits that cannot be read, or of keys that there are not */
  constructor({ providerKeyLimits, providers: access, googleTokenUrl }: Config, healths: Healths) {
    this.#tokenUrl = googleTokenUrl;
    this.#healths = healths;
    try {
      this.#limits = parseKeyLimits(providerKeyLimits);
      for (const [id, limits] of this.#limits) {
        if (!providers.has(id)) throw new RangeError(`there is no provider "${id}"`);
        const { apiKey = '' } = access.get(id) ?? {};
        if (apiKey !== '') metersOf(limits, keyTexts(apiKey).length);
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new StartError(`PROVIDER_KEY_LIMITS cannot be used: ${reason}.`, { cause });
    }
  }

  /** @param setting one key or several; those of the stand-in have no limits */
  of({ id, dialect, key }: Provider, setting: string, isReal: boolean): KeyRing {
    const known = this.#rings.get(`${id} ${setting}`);
    if (known) return known;
    const ring = new KeyRing(
      id,
      setting,
      headersWith(dialect),
      (...benched) => this.#healths.onBenched(...benched),
      (text) => (key === 'service-account' ? serviceAccountSession(text, this.#tokenUrl) : null),
      isReal ? this.#limits.get(id) : undefined,
    );
    this.#rings.set(`${id} ${setting}`, ring);
    return ring;
  }

  /** By its name, which tells nothing of its text. */
  keyNamed(name: string): ProviderKey | null {
    for (const { keys } of this.#rings.values())
      for (const key of keys) if (key.name === name) return key;
    return null;
  }
}
