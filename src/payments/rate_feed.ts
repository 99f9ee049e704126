/** Fetching what a dollar costs from the operator's feed, once a day. A value that jumps is a mistake of the feed's until a person says otherwise. */
import type { Dispatcher } from 'undici';
import { publicLookup, whyNotThere } from '../accounts/public_address.ts';
import type { Desk } from './desk.ts';
import { ProviderSilent } from './method.ts';
import { callProvider } from './provider_http.ts';
import { currentRules } from './rules.ts';

/** Fetched anew when the last one is so old; hours. */
const freshHours = 20;
/** Percent; of the first one, off what holds without the feed: it may lead to the price of something else. */
const mostMove = { first: 40, later: 10 };
const timeoutMs = 10_000;

/**
 * Fetches the rate where a feed is set and the last one is not of today.
 * @returns the new rate, a decimal; null where there is none, and the last one stands as long as it is believed
 */
export async function fetchRate(desk: Desk): Promise<string | null> {
  const { sql } = desk;
  const { content } = await currentRules(sql);
  const { feed } = content.rate;
  if (!feed) return null;
  const [last] = await sql<{ taka: string; fresh: boolean }[]>`
    SELECT taka, fetched_at > now() - ${freshHours} * interval '1 hour' AS fresh
    FROM exchange_rates WHERE source = ${feed.url} ORDER BY id DESC LIMIT 1`;
  if (last?.fresh) return null;
  const refuse = (why: string): null => {
    desk.log(`the rate was not taken from ${new URL(feed.url).host}: ${why}`);
    return null;
  };
  const dispatcher = await dispatcherFor(feed.url);
  try {
    const { status, body } = await callProvider(
      {
        operation: 'rate',
        method: 'GET',
        url: feed.url,
        headers: { accept: 'application/json' },
        body: null,
        redact: () => null,
        timeoutMs,
        ...(dispatcher ? { dispatcher } : {}),
      },
      () => null,
    );
    if (status !== 200) return refuse(`it answered ${status}`);
    const taka = decimal(valueAt(body, feed.pointer));
    if (taka === null) return refuse(`there is no rate at ${feed.pointer}`);
    const before = last?.taka ?? content.rate.fixed ?? desk.usualRate;
    const moved = (Math.abs(Number(taka) - Number(before)) / Number(before)) * 100;
    if (moved > (last ? mostMove.later : mostMove.first))
      return refuse(
        `${taka} is ${Math.round(moved)} % off the last one, ${before}; where it is right, set rate.fixed`,
      );
    await sql`INSERT INTO exchange_rates (source, taka) VALUES (${feed.url}, ${taka})`;
    return taka;
  } catch (error) {
    if (error instanceof ProviderSilent) return refuse(error.message);
    throw error;
  } finally {
    await dispatcher?.destroy();
  }
}

/** An address that a session may have set leads to the public internet when it is asked, too, and not only when it was set. */
async function dispatcherFor(url: string): Promise<Dispatcher | null> {
  if (whyNotThere(url, { anywhere: false }) !== null) return null;
  const { Agent } = await import('undici');
  return new Agent({ connect: { lookup: publicLookup } });
}

/** What a JSON pointer (RFC 6901) leads to. */
function valueAt(body: unknown, pointer: string): unknown {
  const names = pointer
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return names.reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, name)
        ? Reflect.get(value, name)
        : undefined,
    body,
  );
}

/** A number or a text as a decimal with at most four decimals, the rest cut off; null for what is no rate. */
function decimal(value: unknown): string | null {
  const match = /^(\d{1,4})(?:\.(\d{1,4})\d*)?$/.exec(String(value));
  if (!match) return null;
  const text = match[2] ? `${match[1]}.${match[2]}` : `${match[1]}`;
  return Number(text) > 0 ? text : null;
}
