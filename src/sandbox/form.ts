/** How a stand-in speaks: one form for each way in which providers do. */

import type { IncomingHttpHeaders } from 'node:http';
import type { StandIn } from './answer.ts';
import type { Refusal } from './request.ts';

export interface Asked {
  /** `POST /v1/chat/completions` */
  readonly where: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One JSON text, server-sent events without their final blank line, or messages of a stream that is framed otherwise. */
export interface Reply {
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: string;
  readonly events?: Iterable<string>;
  readonly frames?: Iterable<Buffer>;
  /** Of `frames`. */
  readonly contentType?: string;
}

export interface Form {
  /** Whether a request is in this form. @param where as in Asked */
  takes(where: string): boolean;
  /** @param known by the provider's name of the model @throws Refusal */
  reply(asked: Asked, known: ReadonlyMap<string, StandIn>): Reply;
  /** Of every answer. */
  headers(): Readonly<Record<string, string>>;
  /** The body of an error. */
  refusal(refusal: Refusal): string;
}
