/** The keys that the operator has with one provider: which of them asks next, and which rest for a while. */
import { hash } from 'node:crypto';
import type { KeySession } from './key_session.ts';

/** How long a key rests that its provider does not accept, or whose account is empty; ms. */
const benchMs = 300_000;

/** What every request with a key has. */
type HeadersOf = (text: string) => readonly string[];
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
  /** Null for a key that is sent itself. */
  readonly session: KeySession | null;
  readonly #headersOf: HeadersOf;
  #headers: readonly string[];
  #sent: string;
  /** Requests under way; counted only where there are other keys. */
  inFlight = 0;
  restsUntil = 0;

  constructor(provider: string, text: string, headersOf: HeadersOf, session: KeySession | null) {
    this.text = text;
    this.name = `${provider}#${hash('sha256', text).slice(0, 8)}`;
    this.session = session;
    this.#headersOf = headersOf;
    this.#sent = session ? '' : text;
    this.#headers = headersOf(this.#sent);
  }

  /** Of every request with it: name, value, name, value. Null where its session must be renewed first. */
  get headers(): readonly string[] | null {
    if (this.session === null) return this.#headers;
    const token = this.session.current();
    if (token === null) return null;
    if (token !== this.#sent) this.#headers = this.#headersOf(token);
    this.#sent = token;
    return this.#headers;
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

  constructor(
    provider: string,
    setting: string,
    headersOf: HeadersOf,
    onBenched: OnBenched,
    sessionOf: (text: string) => KeySession | null = () => null,
  ) {
    this.keys = keyTexts(setting).map(
      (text) => new ProviderKey(provider, text, headersOf, sessionOf(text)),
    );
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
    key.session?.forget();
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
