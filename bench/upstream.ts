/**
 * A stand-in for a provider, cheap enough not to be what is measured: HTTP/1.1 on bare sockets, answers made beforehand.
 * They have the shape and size of OpenAI's, the random padding of its streams included.
 */
import { createServer, type Socket } from 'node:net';
import { announce, type Behaviour, serveParent, type UpstreamState } from './messages.ts';

let behaviour: Behaviour = { delayMs: 0, chunks: 100, gapMs: 0, silentAfter: 0 };
let answered = 0;
let open = 0;

const model = 'gpt-4o-mini-2024-07-18';
const id = 'chatcmpl-CfaF2Ux0TnSxR4lGq8oYlGrCbKpJv';
const created = 1763900000;
const words =
  'A wallet that is paid for each token needs the answer to be counted while it passes through '.repeat(
    6,
  );

function usage(tokens: number): object {
  return {
    prompt_tokens: 61,
    completion_tokens: tokens,
    total_tokens: 61 + tokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const wholeBody = JSON.stringify({
  id,
  object: 'chat.completion',
  created,
  model,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: words, refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: usage(120),
  service_tier: 'default',
  system_fingerprint: 'fp_51db84afab',
});
const whole = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: ${wholeBody.length}\r\n\r\n${wholeBody}`,
);

const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n';

function frame(data: string): string {
  const event = `data: ${data}\n\n`;
  return `${event.length.toString(16)}\r\n${event}\r\n`;
}

function chunkOf(choices: readonly object[], rest: object): string {
  const head = { id, object: 'chat.completion.chunk', created, model };
  const tier = { service_tier: 'default', system_fingerprint: 'fp_51db84afab' };
  return frame(JSON.stringify({ ...head, ...tier, choices, ...rest }));
}

function delta(content: object, finish_reason: string | null, padding: string): string {
  const choice = { index: 0, delta: content, logprobs: null, finish_reason };
  return chunkOf([choice], { usage: null, obfuscation: padding });
}

/** The chunks of a stream of so many words; the first stands with the head. */
function framesOf(count: number): Buffer[] {
  const frames = Array.from({ length: count }, (_, at) =>
    delta({ content: ` word${at % 10}` }, null, 'dQmX7aLpR2'.slice(at % 10)),
  );
  const [first = ''] = frames;
  const opening =
    streamHead + delta({ role: 'assistant', content: '', refusal: null }, null, 'aR') + first;
  const closing = `${delta({}, 'stop', 'x9Lq')}${chunkOf([], { usage: usage(count), obfuscation: '' })}${frame('[DONE]')}0\r\n\r\n`;
  return [opening, ...frames.slice(1), closing].map((text) => Buffer.from(text));
}

const prepared = new Map<number, Buffer[]>();

function frames(count: number): Buffer[] {
  const known = prepared.get(count) ?? framesOf(count);
  prepared.set(count, known);
  return known;
}

function stream(socket: Socket): void {
  const { chunks, gapMs, silentAfter } = behaviour;
  const parts = frames(chunks);
  let next = 0;
  open += 1;
  const over = (): void => {
    open -= 1;
    answered += 1;
    socket.off('close', cut);
  };
  const cut = (): void => {
    open -= 1;
    clearInterval(timer);
  };
  const send = (): void => {
    const part = parts[next];
    if (part && !socket.destroyed) socket.write(part);
    next += 1;
    if (next === silentAfter) clearInterval(timer);
    if (next < parts.length) return;
    clearInterval(timer);
    over();
  };
  socket.once('close', cut);
  let timer: NodeJS.Timeout | undefined;
  if (gapMs > 0) timer = setInterval(send, gapMs);
  do send();
  while (gapMs === 0 && next < parts.length);
}

function answer(socket: Socket, streamed: boolean): void {
  if (socket.destroyed) return;
  if (streamed) {
    stream(socket);
    return;
  }
  socket.write(whole);
  answered += 1;
}

/** Takes one whole request from the front of `data`; returns what is left, or null while it is not whole. */
function take(socket: Socket, data: Buffer): Buffer | null {
  const end = data.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const head = data.toString('latin1', 0, end);
  const at = head.indexOf('content-length: ');
  const length = at === -1 ? 0 : Number.parseInt(head.slice(at + 16), 10);
  const whole = end + 4 + length;
  if (data.length < whole) return null;
  const streamed = data.subarray(end + 4, whole).includes('"stream":true');
  if (behaviour.delayMs === 0) answer(socket, streamed);
  else setTimeout(answer, behaviour.delayMs, socket, streamed);
  return data.subarray(whole);
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | null = null;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    let data: Buffer = rest ? Buffer.concat([rest, chunk]) : chunk;
    for (;;) {
      const left = take(socket, data);
      if (left === null) break;
      data = left;
      if (data.length === 0) break;
    }
    rest = data.length > 0 ? data : null;
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address && typeof address === 'object') announce(address.port);
});

serveParent((question) => {
  if (question.ask === 'behave') behaviour = question.behaviour;
  return { answered, open } satisfies UpstreamState;
});
