/** Upstreams that fail in every way at once, and what clients and books see of it. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSandboxProvider } from '../../src/sandbox/provider.ts';
import { type Books, openBooks } from '../books.ts';
import {
  type Behaviour,
  type Hostile,
  type Received,
  type Step,
  startHostile,
} from '../hostile.ts';
import { behaviours, failure, good, whole } from '../hostile_behaviours.ts';
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
  /** Answers that were charged, by who gave them. */
  readonly providers: Readonly<Record<string, number>>;
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

/** @param answer what it says when nothing is wrong, @param broken the same, but for its end */
function weather(random: () => number, answer: Behaviour, broken: Behaviour): Behaviour {
  return (received) => {
    const drawn = random();
    const isStream = received.body?.stream === true || /stream/i.test(received.path);
    const chosen =
      drawn < badShare
        ? (bad[Math.floor(random() * bad.length)] ?? answer)
        : isStream && drawn < badShare + brokenShare
          ? broken
          : answer;
    return typeof chosen === 'function' ? chosen(received) : chosen;
  };
}

/** Providers of OpenAI's form, most with quirks, and those of other forms, who are played by stand-ins. Those of a line share an upstream. */
const stems = {
  openai: [
    ['GROQ', 'DEEPSEEK', 'MISTRAL'],
    ['DEEPINFRA', 'TOGETHER', 'ZHIPU'],
  ],
  others: [
    ['ANTHROPIC', 'GOOGLE'],
    ['BEDROCK', 'VERTEX'],
  ],
} as const;

/** Each is offered by at least two of these: in OpenAI's form, in Anthropic's and Bedrock's, in Gemini's and Vertex's. */
const models = [
  twoOffers,
  'deepseek/deepseek-v4.1-flash',
  'z-ai/glm-5.3-flash',
  'anthropic/claude-haiku-4.5',
  'google/gemini-3.8-flash',
];

/** Asks the stand-in, and gives its answer. @param share of it, from 0 to 1: after less than all the connection is reset */
function forwarded(standIn: string, share: number): Behaviour {
  return async function* ({ path, headers, text }: Received): AsyncGenerator<Step> {
    const { host: _, 'content-length': __, connection: ___, ...asked } = headers;
    const answered = await fetch(new URL(path, standIn), {
      method: 'POST',
      headers: asked,
      body: text,
    });
    const bytes = whole(Buffer.from(await answered.arrayBuffer()), {
      status: answered.status,
      headers: { 'content-type': answered.headers.get('content-type') ?? undefined },
    });
    yield bytes.subarray(0, Math.ceil(bytes.length * share));
    if (share < 1) yield* [{ waitMs: 5 }, 'RESET' as const];
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
): Promise<Pick<StormReport, 'misbilled' | 'auditOk' | 'providers'>> {
  await books.settled();
  const [charged] = await books.sql<{ count: number; known: number }[]>`
    SELECT count(*) AS count, count(*) FILTER (WHERE id = ANY (${[...answers]})) AS known
    FROM receipts WHERE charged > 0`;
  const audit = await installation.akai('audit');
  const unbilled = answers.length - (charged?.known ?? 0);
  const billedForNothing = (charged?.count ?? 0) - (charged?.known ?? 0);
  const given = await books.sql<{ provider: string; count: number }[]>`
    SELECT provider, count(*) FROM receipts WHERE charged > 0 GROUP BY provider ORDER BY provider`;
  return {
    misbilled: unbilled + billedForNothing,
    auditOk: audit.ok === true,
    providers: Object.fromEntries(given.map(({ provider, count }) => [provider, count])),
  };
}

async function startUpstreams(stack: AsyncDisposableStack, random: () => number) {
  const standIn = await startSandboxProvider({ paceMs: 0 });
  stack.defer(() => standIn.close());
  const { baseUrl } = standIn;
  const inOpenaisForm = weather(random, good(), behaviours.resetMidStream);
  const inOthers = weather(random, forwarded(baseUrl, 1), forwarded(baseUrl, 0.7));
  const upstreams: Hostile[] = [];
  const env: Record<string, string> = {};
  for (const [form, groups] of Object.entries(stems))
    for (const names of groups) {
      const upstream = await startHostile(form === 'openai' ? inOpenaisForm : inOthers);
      stack.defer(() => upstream.close());
      upstreams.push(upstream);
      for (const name of names)
        Object.assign(env, { [`${name}_API_KEY`]: 'test', [`${name}_BASE_URL`]: upstream.baseUrl });
    }
  return { upstreams, env };
}

/** @param ms how long clients ask, @param clients how many ask at once */
export async function storm(ms: number, clients: number, seed: number): Promise<StormReport> {
  await using stack = new AsyncDisposableStack();
  const random = seeded(seed);
  const { upstreams, env } = await startUpstreams(stack, random);
  const installation = stack.use(await startInstallation({ env: { ...env, ...settings } }));
  await installation.akai('wallet', 'credit', '--email', installation.email, '--usd', '1000');
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
        model: models[Math.floor(random() * models.length)],
        messages: [{ role: 'user', content: 'Hello' }],
        max_tokens: 200,
        stream,
      }),
    });
    const text = await response.text();
    counts.requests += 1;
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
    const isBroken = stream && response.ok && (readStream(text).finish ?? 'error') === 'error';
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
  const billed = await billing(installation, books, answers);
  return {
    ...counts,
    availability: counts.answered / (counts.requests - counts.broken),
    ...billed,
    memory: [early, late],
    statuses,
  };
}
