/**
 * Asks one offer the tiny requests that show whether it can do what it says. Through the same dialects, keys and connections as
 * the requests of clients, but without a wallet: the operator pays. Nothing here throws for what a provider does.
 */
import { Unreadable, Unsupported } from '../dialects/dialect.ts';
import { type Fields, fields } from '../dialects/members.ts';
import { readUsage } from '../dialects/openai.ts';
import { StreamError } from '../dialects/stream.ts';
import { promptTokens, type Usage } from '../dialects/usage.ts';
import type { Nano } from '../wallet/money.ts';
import { requestWriter } from './call.ts';
import type { ChatRequest } from './chat_request.ts';
import { credible, priceUsage } from './meter.ts';
import { applies, type Probe, probes, requestOf } from './probe_requests.ts';
import type { ProbeName } from './probe_results.ts';
import type { ProviderKey } from './provider_keys.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { ChatEvents } from './sse.ts';
import type { Target } from './target.ts';
import { UpstreamBroken, type UpstreamCall, type Upstreams } from './upstream.ts';

export interface ProbeResult {
  /** `author/model@provider` */
  readonly offer: string;
  readonly probe: ProbeName;
  /** Null: it could not be found out. */
  readonly passed: boolean | null;
  /** Why not; empty where it passed. */
  readonly reason: string;
  readonly ms: number;
  /** Tokens, as the provider told; null where it did not. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** At the prices of the offer; null where no usage was told. */
  readonly cost: Nano | null;
}

/** Of one request, from sending to its last byte; ms. */
const patienceMs = 30_000;
const mostBytes = 1_000_000;
const mostReason = 200;

/** What one request came to. */
interface Outcome {
  readonly passed: boolean | null;
  readonly reason: string;
  readonly usage: Usage | null;
}

/**
 * Asks everything that applies to the offer; nothing more where it does not even answer.
 * @param stop ends what is under way; what was not found out by then is not told
 */
export async function* probeOffer(
  upstreams: Upstreams,
  target: Target,
  stop: AbortSignal,
): AsyncGenerator<ProbeResult> {
  for (const probe of probes) {
    if (!applies(probe, target.model)) continue;
    const result = await found(upstreams, probe, target, stop);
    if (stop.aborted) return;
    yield result;
    if (probe.name === 'plain' && !result.passed) return;
  }
}

/** What failed is asked once more: one slip says nothing about what an offer can do. */
async function found(
  upstreams: Upstreams,
  probe: Probe,
  target: Target,
  stop: AbortSignal,
): Promise<ProbeResult> {
  const startedAt = performance.now();
  let outcome = await outcomeOf(upstreams, probe, target, stop);
  const usages = [outcome.usage];
  if (outcome.passed === false && !stop.aborted) {
    outcome = await outcomeOf(upstreams, probe, target, stop);
    usages.push(outcome.usage);
  }
  const told = usages.filter((usage) => usage !== null);
  const sum = (of: (usage: Usage) => number): number | null =>
    told.length === 0 ? null : told.reduce((total, usage) => total + of(usage), 0);
  return {
    offer: target.health.name,
    probe: probe.name,
    passed: outcome.passed,
    reason: outcome.reason.slice(0, mostReason),
    ms: Math.round(performance.now() - startedAt),
    inputTokens: sum(promptTokens),
    outputTokens: sum(({ output }) => output),
    // as: a sum of whole nano-USD
    cost: sum((usage) => priceUsage(usage, target.offer).cost) as Nano | null,
  };
}

async function outcomeOf(
  upstreams: Upstreams,
  probe: Probe,
  target: Target,
  stop: AbortSignal,
): Promise<Outcome> {
  const request = requestOf(probe, target);
  let body: string;
  try {
    body = requestWriter(request, null)(target);
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    return { passed: null, reason: error.message, usage: null };
  }
  const tried: ProviderKey[] = [];
  let key: ProviderKey | null = target.keys.next(performance.now());
  let outcome: Outcome = {
    passed: null,
    reason: 'the keys of the provider have asked as often as they may',
    usage: null,
  };
  while (key && !stop.aborted) {
    const late = AbortSignal.timeout(patienceMs);
    const call = upstreams.send(target, key, body, request.stream);
    const end = (): void => call.abort();
    for (const signal of [late, stop]) signal.addEventListener('abort', end);
    try {
      if ((await call.started).status !== 200) throw await refusalOf(call, target, body);
      return await answerOf(call, probe, target, request);
    } catch (error) {
      call.abort();
      const reason = late.aborted ? `no answer within ${patienceMs / 1000} s` : reasonOf(error);
      // Too often, and keys that do not work for one probe after they did for another, say nothing of what an offer can do.
      const isOurs =
        error instanceof Refusal &&
        (error.kind === 'rate' || (error.kind === 'key' && probe.name !== 'plain'));
      outcome = { passed: isOurs ? null : false, reason, usage: null };
      tried.push(key);
      key = keyAfter(target, key, tried, error);
    } finally {
      for (const signal of [late, stop]) signal.removeEventListener('abort', end);
    }
  }
  return outcome;
}

/** With which key to ask once more; null where another would not do better. */
function keyAfter(
  { keys }: Target,
  key: ProviderKey,
  tried: readonly ProviderKey[],
  error: unknown,
): ProviderKey | null {
  if (!(error instanceof Refusal) || error.kind === 'other') return null;
  const now = performance.now();
  if (error.kind === 'key') keys.bench(key, now, error.message);
  else keys.rest(key, now + (error.retryAfterMs ?? 0));
  return keys.another(now, tried);
}

/** @throws UpstreamBroken, Unreadable, StreamError */
async function answerOf(
  call: UpstreamCall,
  probe: Probe,
  target: Target,
  request: ChatRequest,
): Promise<Outcome> {
  if (request.stream) return streamed(call, target, request);
  const text = target.dialect.readWhole(await call.text(mostBytes), request);
  const answer = parsed(text);
  const [choice] = Array.isArray(answer.choices) ? answer.choices.map(fields) : [];
  if (answer.error || !choice) throw new UpstreamBroken('the answer is no chat completion');
  const wrong = probe.wrong(fields(choice.message));
  const usage = readUsage(answer.usage, target);
  if (wrong === null) return { passed: true, reason: '', usage };
  // A model that thinks for longer than it may here has shown nothing.
  const isCut = choice.finish_reason === 'length';
  return { passed: isCut ? null : false, reason: isCut ? `${wrong}: too long` : wrong, usage };
}

/** @throws UpstreamBroken */
function parsed(text: string): Fields {
  try {
    return fields(JSON.parse(text));
  } catch (cause) {
    throw new UpstreamBroken('the answer is not JSON', { cause });
  }
}

/** Whether the stream tells a usage that can be charged by. */
async function streamed(
  call: UpstreamCall,
  target: Target,
  request: ChatRequest,
): Promise<Outcome> {
  if (!target.dialect.isStream(call.header('content-type')))
    throw new UpstreamBroken('the provider did not stream');
  const { told, bytes } = await readToEnd(call, target, request);
  const usage = credible(readUsage(told, target), bytes);
  if (usage) return { passed: true, reason: '', usage };
  const reason = told ? 'the usage in the stream makes no sense' : 'the stream brought no usage';
  return { passed: false, reason, usage };
}

/** @throws UpstreamBroken, StreamError, Unreadable */
function readToEnd(
  call: UpstreamCall,
  { dialect }: Target,
  request: ChatRequest,
): Promise<{ told: Fields | null; bytes: number }> {
  const reader = dialect.readStream(mostBytes, request);
  const events = new ChatEvents('""', '""');
  let told: Fields | null = null;
  let bytes = 0;
  let received = 0;
  const take = (texts: readonly string[]): void => {
    for (const text of texts) {
      const { usage, generatedBytes, error } = events.read(text);
      if (error) throw new UpstreamBroken('the stream ended in an error');
      told = usage ?? told;
      bytes += generatedBytes;
    }
  };
  return new Promise((resolve, reject) => {
    const safely = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        reject(error);
        call.abort();
      }
    };
    call.pipe({
      data: (chunk) =>
        safely(() => {
          received += chunk.length;
          if (received > mostBytes) throw new UpstreamBroken('the answer is too large');
          take(reader.push(chunk));
        }),
      end: () =>
        safely(() => {
          take(reader.end());
          resolve({ told, bytes });
        }),
      fail: reject,
    });
  });
}

/** @throws the error, where it is not the provider's */
function reasonOf(error: unknown): string {
  const isTheirs = [Refusal, UpstreamBroken, Unreadable, StreamError].some(
    (kind) => error instanceof kind,
  );
  if (!(isTheirs && error instanceof Error)) throw error;
  const { message } = error;
  return error instanceof Refusal ? `${error.status} ${message}`.trim() : message;
}
