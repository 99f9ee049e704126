/**
 * How a provider is spoken to. Clients speak OpenAI Chat Completions; a dialect writes their request as its provider
 * wants it, and gives the answer back in OpenAI's form. No I/O; one file a dialect.
 */
import type { ErrorMeaning } from './quirks.ts';
import type { EventReader } from './stream.ts';

/** A client's request: its JSON text and what that parses to. */
export interface ChatBody {
  readonly text: string;
  readonly parsed: Readonly<Record<string, unknown>>;
}

/** What the gateway puts into a request, of its own or of the offer that is tried. */
export interface ChatTarget {
  readonly upstreamModel: string;
  readonly tokenLimitField: 'max_tokens' | 'max_completion_tokens';
  /** Most tokens of output for one choice that the hold pays for; null where the client's own limit is all paid for. */
  readonly cap: number | null;
  /** Most tokens of output that the model can give: for providers that want a limit in every request. */
  readonly maxOutputTokens: number;
  /** What this model refuses, by the names that the catalogue uses. */
  readonly constraints: readonly string[];
}

/** Characters. */
const mostQuoted = 300;

/** The request asks for what this provider cannot do, and leaving it out would change what is answered. */
export class Unsupported extends Error {
  /** Path of the member, as OpenAI writes it in `error.param`. */
  readonly param: string;

  /** @param message for the client: what is not supported; it may quote the request, and goes into the receipt, so it is cut short */
  constructor(message: string, param: string) {
    super(message.slice(0, mostQuoted));
    this.param = param.slice(0, mostQuoted);
  }
}

/** What a provider has answered is not what its dialect says. */
export class Unreadable extends Error {}

/** The model has answered, which has been paid for, and went wrong over it. */
export class Wasted extends Unreadable {}

export interface Dialect {
  /** What follows the base URL. */
  chatPath(upstreamModel: string, isStreamed: boolean): string;
  /** Of every request: name, value, name, value; lower case. */
  headers(apiKey: string): readonly string[];
  /** The provider's request, as text. @throws Unsupported */
  writeChat(body: ChatBody, target: ChatTarget): string;
  /** A whole answer as the text of an OpenAI chat completion, usage included as OpenAI counts it. @throws Unreadable */
  readWhole(text: string, body: ChatBody): string;
  /** Whether an answer of this content type streams. */
  isStream(contentType: string): boolean;
  /** Reads a streamed answer. @param mostEventBytes that one event of it may have */
  readStream(mostEventBytes: number, body: ChatBody): EventReader;
  /** When to come again, where a provider says that in the body of its 429; ms. */
  retryAfterMs?(errorBody: string): number | null;
  /** What an error is about, where its status does not tell. */
  errorMeaning?(errorBody: string): ErrorMeaning | null;
}
