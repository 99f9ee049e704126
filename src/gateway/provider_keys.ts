/** The keys that the operator has with one provider: which of them asks next, and which rest for a while. */
import { hash } from 'node:crypto';
import { type KeyLimit, type KeyMeter, metersOf } from './key_limits.ts';
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
  /** Null for one that may ask as often as it likes. */
  readonly meter: KeyMeter | null;
  readonly #headersOf: HeadersOf;
  #headers: readonly string[];
  #sent: string;
  /** Requests under way; counted only where there are other keys, or a limit. */
  inFlight = 0;
  restsUntil = 0;

  constructor(
    provider: string,
    text: string,
    headersOf: HeadersOf,
    session: KeySession | null,
    meter: KeyMeter | null,
  ) {
    this.text = text;
    this.name = `${provider}#${hash('sha256', text).slice(0, 8)}`;
    this.session = session;
    this.meter = meter;
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

  /** Ms until its limits let it ask; 0 for now. */
  waitMs(now: number): number {
    return this.meter === null ? 0 : this.meter.waitMs(now, this.inFlight);
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
  /** What is under way with each key matters. */
  readonly counts: boolean;
  readonly #onBenched: OnBenched;
  #turn = 0;

  constructor(
    provider: string,
    setting: string,
    headersOf: HeadersOf,
    onBenched: OnBenched,
    sessionOf: (text: string) => KeySession | null = () => null,
    limits?: readonly KeyLimit[],
  ) {
    const texts = keyTexts(setting);
    const meters = metersOf(limits, texts.length);
    this.keys = texts.map(
      (text, at) => new ProviderKey(provider, text, headersOf, sessionOf(text), meters[at] ?? null),
    );
    this.counts = this.keys.length > 1 || this.keys.some(({ meter }) => meter !== null);
    this.#onBenched = onBenched;
  }

  /**
   * The key to ask with: the one with the least under way, of those that do not rest while there are such; of equals each in turn.
   * Null where each has asked as often as it may for now.
   */
  next(now: number): ProviderKey | null {
    const [only] = this.keys;
    if (only && !this.counts) return only;
    return this.another(now, []) ?? this.#firstToReturn(now);
  }

  /** Ms until one of them may ask again. */
  waitMs(now: number): number {
    return Math.min(...this.keys.map((key) => key.waitMs(now)));
  }

  /** One that neither rests nor was tried, and may ask now; null where there is none. */
  another(now: number, tried: readonly ProviderKey[]): ProviderKey | null {
    const { keys } = this;
    let best: ProviderKey | null = null;
    this.#turn = (this.#turn + 1) % keys.length;
    for (let step = 0; step < keys.length; step += 1) {
      const key = keys[(this.#turn + step) % keys.length];
      if (!key || now < key.restsUntil || tried.includes(key) || key.waitMs(now) > 0) continue;
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

  #firstToReturn(now: number): ProviderKey | null {
    const free = this.keys.filter((key) => key.waitMs(now) === 0);
    return free.reduce<ProviderKey | null>(
      (first, key) => (first && first.restsUntil <= key.restsUntil ? first : key),
      null,
    );
  }
}
