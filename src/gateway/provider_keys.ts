/** The keys that the operator has with one provider: which of them asks next, and which rest for a while. */
import { hash } from 'node:crypto';

/** How long a key rests that its provider does not accept, or whose account is empty; ms. */
const benchMs = 300_000;

/** `until`: ms of the clock; null where it works again. */
type OnBenched = (name: string, until: number | null, reason: string) => void;

/** A key that the account brought which asks. */
export interface OwnKeyUse {
  readonly providerName: string;
  readonly lastFour: string;
  /** Writes down, for its owner, what the provider has against it. */
  refused(error: string): void;
}

export class ProviderKey {
  readonly text: string;
  /** `openai#` and digits of the key's hash: names it without telling it. */
  readonly name: string;
  /** Of every request with it: name, value, name, value. */
  readonly headers: readonly string[];
  /** Requests under way; counted only where there are other keys. */
  inFlight = 0;
  restsUntil = 0;

  constructor(provider: string, text: string, headers: readonly string[]) {
    this.text = text;
    this.name = `${provider}#${hash('sha256', text).slice(0, 8)}`;
    this.headers = headers;
  }
}

/** Several keys are separated by commas; a key that is JSON has commas of its own. */
export function keyTexts(setting: string): readonly string[] {
  if (setting.startsWith('{')) return [setting];
  const texts = setting.split(',').map((text) => text.trim());
  // A provider of one's own may want none.
  return texts.length === 1 ? texts : [...new Set(texts.filter((text) => text !== ''))];
}

export class KeyRing {
  readonly keys: readonly ProviderKey[];
  readonly #onBenched: OnBenched;
  #turn = 0;

  /** @param headers what every request with a key has */
  constructor(
    provider: string,
    setting: string,
    headers: (text: string) => readonly string[],
    onBenched: OnBenched,
  ) {
    this.keys = keyTexts(setting).map((text) => new ProviderKey(provider, text, headers(text)));
    this.#onBenched = onBenched;
  }

  /** The key to ask with: the one with the least under way, of those that do not rest while there are such; of equals each in turn. */
  next(now: number): ProviderKey {
    const [only] = this.keys;
    if (only && this.keys.length === 1) return only;
    const found = this.another(now, []) ?? this.#firstToReturn();
    if (!found) throw new RangeError('A provider has no key.');
    return found;
  }

  /** One that neither rests nor was tried; null where there is none. */
  another(now: number, tried: readonly ProviderKey[]): ProviderKey | null {
    const { keys } = this;
    let best: ProviderKey | null = null;
    this.#turn = (this.#turn + 1) % keys.length;
    for (let step = 0; step < keys.length; step += 1) {
      const key = keys[(this.#turn + step) % keys.length];
      if (!key || now < key.restsUntil || tried.includes(key)) continue;
      if (!best || key.inFlight < best.inFlight) best = key;
    }
    return best;
  }

  /** Leaves a key alone for as long as its provider asked. */
  rest(key: ProviderKey, until: number): void {
    key.restsUntil = Math.max(key.restsUntil, until);
  }

  /** Leaves a key alone that does not work, in every process. */
  bench(key: ProviderKey, now: number, reason: string): void {
    this.rest(key, now + benchMs);
    this.#onBenched(key.name, key.restsUntil, reason);
  }

  /** It was answered with this key. */
  worked(key: ProviderKey): void {
    if (key.restsUntil === 0) return;
    key.restsUntil = 0;
    this.#onBenched(key.name, null, 'it works');
  }

  #firstToReturn(): ProviderKey | null {
    return this.keys.reduce<ProviderKey | null>(
      (first, key) => (first && first.restsUntil <= key.restsUntil ? first : key),
      null,
    );
  }
}
