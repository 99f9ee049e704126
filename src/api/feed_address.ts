/** Where the feed of rates may be when it is set over HTTP: a session that was stolen must not make the server ask its own network. */
import { type Reach, whyNotThere } from '../accounts/public_address.ts';
import { ApiError } from '../errors.ts';

/** @param rules changes of the rules of payments, as they came. @throws ApiError invalid_request */
export function checkFeedAddress(rules: Readonly<Record<string, unknown>>, reach: Reach): void {
  const url = memberOf(memberOf(memberOf(rules, 'rate'), 'feed'), 'url');
  // What is no text the rules themselves refuse.
  const why = typeof url === 'string' ? whyNotThere(url, reach) : null;
  if (why !== null)
    throw new ApiError('invalid_request', {
      param: 'rate.feed.url',
      message: `${why} Whoever has a shell here may set any other.`,
    });
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
