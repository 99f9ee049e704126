/** Where the answer of a chat request goes: to the client itself (Exchange), or to the store and whoever reads along (Recording). */

export interface Outlet {
  /** UUID, version 7: also the id of the hold, the receipt and the transfer. */
  readonly id: string;
  /** The id's 32 hexadecimal digits, as ids of answers and requests carry them. */
  readonly plainId: string;
  /** `performance.now()` */
  readonly startedAt: number;
  /** When a provider's answer was there to be passed on, as `startedAt`; 0 before. */
  answeredAt: number;
  /** Nobody wants the answer any more. */
  readonly left: boolean;
  /** Its client has said so. */
  readonly isCancelled: boolean;
  /** A byte of it has left. */
  readonly hasBegun: boolean;
  /** What is written now waits: better to write no more until it has drained. */
  readonly isFull: boolean;
  /** What to do once nobody wants the answer. Replaces what was asked for before; happens at once when that is so already. */
  whenLeft(action: () => void): void;
  /** What to do each time when a full outlet has drained. */
  whenDrained(action: () => void): void;
  /** Begins a 200. @param headers name, value, name, value */
  head(headers: readonly string[]): void;
  /** A whole JSON answer. */
  json(body: string, headers: readonly string[]): void;
  /** Whole events of a stream, as latin1. False: it is full. */
  write(text: string): boolean;
  /** The last of a stream. @param isFree nothing is charged for it */
  end(text: string, isFree?: boolean): void;
  /** A comment, which no client takes for an event: tells everybody on the way that the connection is used. */
  keepAlive(): void;
  /** Lets go of a client that does not read. */
  cut(): void;
}
