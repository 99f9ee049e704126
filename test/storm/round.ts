/** Upstreams that fail in every way at once, and what clients and books see of it. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Books, openBooks } from '../books.ts';
import { type Behaviour, startHostile } from '../hostile.ts';
import { behaviours, failure, good } from '../hostile_behaviours.ts';
import { type Installation, startInstallation } from '../installation.ts';
import { readStream, twoOffers } from '../providers.ts';

export interface StormReport {
  readonly requests: number;
  readonly answered: number;
  /** Neither answered nor broken after the first byte: nobody could help. */
  readonly refused: number;
  /** After the first byte there is no other offer. */
  readonly broken: number;
  /** Share of requests that were answered, of those that were not broken after their first byte. */
  readonly availability: number;
  /** Answers without exactly one settled receipt, and receipts charged without an answer. */
  readonly misbilled: number;
  readonly auditOk: boolean;
  /** Bytes of the gateway's memory after a third of the time, and at the end. */
  readonly memory: readonly [number, number];
  readonly statuses: Readonly<Record<string, number>>;
}

const settings = {
  FIRST_BYTE_TIMEOUT_MS: '500',
  IDLE_TIMEOUT_MS: '500',
  RATE_LIMIT_RPM: '0',
  ACCOUNT_RATE_LIMIT_RPM: '10000000',
};

const badShare = 0.3;

/** One of them is met by three requests in ten. */
const bad: readonly Behaviour[] = [
  behaviours.resetBeforeHeaders,
  behaviours.endBeforeHeaders,
  behaviours.hangBeforeHeaders,
  behaviours.hangAfterHeaders,
  behaviours.resetAfterHeaders,
  behaviours.html200,
  behaviours.errorIn200,
  behaviours.empty200,
  behaviours.errorFirstInStream,
  behaviours.emptyStream,
  behaviours.notHttp,
  failure(429, { retryAfter: '1' }),
  failure(500),
  failure(502, { form: 'html' }),
  failure(503, { form: 'empty' }),
  failure(529),
];
const brokenShare = 0.01;

function weather(random: () => number): Behaviour {
  return (received) => {
    const drawn = random();
    const isStream = received.body?.stream === true;
    const chosen =
      drawn < badShare
        ? (bad[Math.floor(random() * bad.length)] ?? good())
        : isStream && drawn < badShare + brokenShare
          ? behaviours.resetMidStream
          : good();
    return typeof chosen === 'function' ? chosen(received) : chosen;
  };
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Resident memory of a process; 0 where the system does not tell. */
function residentBytes(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Whether the books hold one charge for each answer and no other. @param answers ids of requests */
async function billing(
  installation: Installation,
  books: Books,
  answers: readonly string[],
): Promise<Pick<StormReport, 'misbilled' | 'auditOk'>> {
  await books.settled();
  const [charged] = await books.sql<{ count: number; known: number }[]>`
    SELECT count(*) AS count, count(*) FILTER (WHERE id = ANY (${[...answers]})) AS known
    FROM receipts WHERE charged > 0`;
  const audit = await installation.akai('audit');
  const unbilled = answers.length - (charged?.known ?? 0);
  const billedForNothing = (charged?.count ?? 0) - (charged?.known ?? 0);
  return { misbilled: unbilled + billedForNothing, auditOk: audit.ok === true };
}

/** @param ms how long clients ask, @param clients how many ask at once */
export async function storm(ms: number, clients: number, seed: number): Promise<StormReport> {
  await using stack = new AsyncDisposableStack();
  const random = seeded(seed);
  const upstreams = await Promise.all([startHostile(), startHostile()]);
  for (const upstream of upstreams) {
    stack.defer(() => upstream.close());
    upstream.behave(weather(random));
  }
  const [groq, deepinfra] = upstreams;
  const installation = await startInstallation({
    env: {
      GROQ_API_KEY: 'test',
      GROQ_BASE_URL: groq.baseUrl,
      DEEPINFRA_API_KEY: 'test',
      DEEPINFRA_BASE_URL: deepinfra.baseUrl,
      ...settings,
    },
  });
  stack.use(installation);
  const books = stack.use(await openBooks(installation));
  const { baseUrl, key, pid } = installation;
  const statuses: Record<string, number> = {};
  const counts = { requests: 0, answered: 0, refused: 0, broken: 0 };
  const answers: string[] = [];
  const ask = async (): Promise<void> => {
    const stream = random() < 0.5;
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model: twoOffers,
        messages: [{ role: 'user', content: 'Hello' }],
        max_tokens: 20,
        stream,
      }),
    });
    const text = await response.text();
    counts.requests += 1;
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    const isBroken = stream && response.ok && readStream(text).finish !== 'stop';
    if (isBroken) counts.broken += 1;
    else if (response.ok) {
      counts.answered += 1;
      answers.push(response.headers.get('x-request-id')?.slice('req_'.length) ?? '');
    } else counts.refused += 1;
  };
  const until = performance.now() + ms;
  const client = async (): Promise<void> => {
    while (performance.now() < until) await ask();
  };
  const asking = Promise.all(Array.from({ length: clients }, client));
  await sleep(ms / 3);
  const early = residentBytes(pid);
  // The log of what they received is ours, not the gateway's.
  const tidying = setInterval(() => {
    for (const upstream of upstreams) upstream.forget();
  }, 5000);
  await asking.finally(() => clearInterval(tidying));
  const late = residentBytes(pid);
  const { misbilled, auditOk } = await billing(installation, books, answers);
  return {
    ...counts,
    availability: counts.answered / (counts.requests - counts.broken),
    misbilled,
    auditOk,
    memory: [early, late],
    statuses,
  };
}
