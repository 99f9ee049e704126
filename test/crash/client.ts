/** One request of the load, and exactly what its client saw. */
import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { bodyOf, type Order } from './orders.ts';

/**
 * complete: the whole answer · partial: some of it · refused: an error status · nothing: not a byte
 */
type Seen = 'complete' | 'partial' | 'refused' | 'nothing';

export interface Sighting {
  readonly order: Order;
  readonly account: string;
  /** Name of the gateway that was asked. */
  readonly gateway: string;
  readonly keyId: string;
  readonly bodyBytes: number;
  /** Ms since the epoch. */
  readonly sentAt: number;
  readonly endedAt: number;
  readonly seen: Seen;
  /** The client went away by itself, in whatever state the answer was. */
  readonly left: boolean;
  /** 0 where there was none. */
  readonly status: number;
  /** From the header; null when not even that came. */
  readonly requestId: string | null;
  /** Bytes of generated text. */
  readonly contentBytes: number;
  /** USD, as the answer says; null where it does not. */
  readonly cost: number | null;
  /** Of a refusal. */
  readonly code: string | null;
  /** The gateway shortened the answer, and says why. */
  readonly endedBy: string | null;
  /** The provider's failure was reported inside the stream. */
  readonly brokenOff: boolean;
}

type Read = Pick<Sighting, 'seen' | 'contentBytes' | 'cost' | 'code' | 'endedBy' | 'brokenOff'>;
const unread: Read = {
  seen: 'nothing',
  contentBytes: 0,
  cost: null,
  code: null,
  endedBy: null,
  brokenOff: false,
};

function parsed(text: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readStream(text: string): Read {
  const chunks = text
    .split('\n\n')
    .slice(0, -1)
    .filter((event) => event.startsWith('data: {'))
    .map((event) => parsed(event.slice(6)));
  const contents = chunks.map((chunk) => chunk?.choices[0]?.delta?.content ?? '');
  return {
    ...unread,
    seen: text.endsWith('data: [DONE]\n\n') ? 'complete' : text === '' ? 'nothing' : 'partial',
    contentBytes: contents.reduce((sum, content) => sum + content.length, 0),
    cost: chunks.map((chunk) => chunk?.usage?.cost).findLast((cost) => cost !== undefined) ?? null,
    endedBy: chunks.map((chunk) => chunk?.ended_by).find(Boolean) ?? null,
    brokenOff: chunks.some((chunk) => chunk?.error),
  };
}

function readJson(text: string): Read {
  const body = parsed(text);
  if (body === null) return { ...unread, seen: text === '' ? 'nothing' : 'partial' };
  const contentBytes = body.choices[0].message.content.length;
  return { ...unread, seen: 'complete', contentBytes, cost: body.usage.cost };
}

function readAnswer(status: number, stream: boolean, text: string, whole: boolean): Read {
  if (status === 0) return unread;
  if (status !== 200) return { ...unread, seen: 'refused', code: parsed(text)?.code ?? null };
  if (stream) return readStream(text);
  return whole ? readJson(text) : { ...unread, seen: text === '' ? 'nothing' : 'partial' };
}

export interface Ask {
  readonly order: Order;
  readonly account: string;
  readonly gateway: string;
  readonly origin: string;
  readonly agent: Agent;
  readonly key: { readonly id: string; readonly key: string };
  /** Ms after which a client gives up. */
  readonly patienceMs: number;
}

/** Sends the order and resolves when it is over, in whatever way. Never throws. */
export function ask({
  order,
  account,
  gateway,
  origin,
  agent,
  key,
  patienceMs,
}: Ask): Promise<Sighting> {
  const body = bodyOf(order);
  const sentAt = Date.now();
  let left = false;
  let answer: IncomingMessage | null = null;
  let text = '';
  return new Promise((resolve) => {
    const request = httpRequest(`${origin}/v1/chat/completions`, {
      method: 'POST',
      agent,
      headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
    });
    const timer = setTimeout(() => {
      left = true;
      request.destroy();
    }, order.leaveMs ?? patienceMs);
    const over = (): void => {
      clearTimeout(timer);
      const status = answer?.statusCode ?? 0;
      const id = answer?.headers['x-request-id'];
      resolve({
        ...{ order, account, gateway, keyId: key.id, sentAt, left, status },
        bodyBytes: Buffer.byteLength(body),
        endedAt: Date.now(),
        requestId: typeof id === 'string' ? id.slice('req_'.length) : null,
        ...readAnswer(status, order.stream, text, answer?.complete ?? false),
      });
    };
    request.once('response', (response) => {
      answer = response;
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', () => {});
    });
    request.on('error', () => {});
    request.once('close', over);
    request.end(body);
  });
}
