/** Every endpoint of the API: method, path, who may call it, what answers. Pages are in pages/. */
import { catalogue } from './catalogue/catalogue.ts';
import { unknownModel } from './catalogue/unknown_model.ts';
import type { Sql } from './db/database.ts';
import { ApiError } from './errors.ts';
import { type Asker, authenticate } from './gateway/authenticate.ts';
import { chat } from './gateway/chat.ts';
import type { Exchange } from './gateway/exchange.ts';
import { generation, publicKeys, type Receipts } from './gateway/generation.ts';
import type { ModelBodies } from './gateway/models.ts';
import { ownCredits, ownKey } from './gateway/own_account.ts';
import { type QuoteGateway, quote } from './gateway/quote.ts';
import { cancelStream, readStream } from './gateway/streams.ts';
import { wallet } from './gateway/wallet.ts';

export interface Api extends QuoteGateway {
  readonly models: ModelBodies;
  readonly receipts: Receipts;
  /** For questions that may read many rows. */
  readonly own: Sql;
  readonly statements: Sql;
}

interface Place {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** A trailing `*` takes the rest of the path, slashes included. */
  readonly path: string;
  /** For the OpenAPI document. */
  readonly summary: string;
}

type Answerer<Who extends unknown[]> = (
  api: Api,
  exchange: Exchange,
  rest: string,
  ...who: Who
) => Promise<void> | void;

/** `handler`: the handler authenticates by itself, as a part of its story. */
type Endpoint = Place &
  (
    | { readonly who: 'key'; readonly handle: Answerer<[key: Asker]> }
    | { readonly who: 'handler' | 'anyone'; readonly handle: Answerer<[]> }
  );

const endpoints: readonly Endpoint[] = [
  {
    method: 'POST',
    path: '/v1/chat/completions',
    summary: 'An answer of a model, whole or streamed.',
    who: 'handler',
    handle: chat,
  },
  {
    method: 'POST',
    path: '/v1/quote',
    summary: 'What a request would cost at least and at most.',
    who: 'key',
    handle: quote,
  },
  {
    method: 'GET',
    path: '/v1/streams/*',
    summary: 'A stream that was cut, from the beginning or from an event on.',
    who: 'key',
    handle: readStream,
  },
  {
    method: 'DELETE',
    path: '/v1/streams/*',
    summary: 'Stop a stream that is kept.',
    who: 'key',
    handle: cancelStream,
  },
  {
    method: 'GET',
    path: '/v1/models',
    summary: 'Models and their prices.',
    who: 'key',
    handle: (api, exchange) => exchange.json(api.models.list),
  },
  {
    // Of one model, and, with /endpoints behind its id, its offers.
    method: 'GET',
    path: '/v1/models/*',
    summary: 'One model; with /endpoints behind its id, its offers.',
    who: 'key',
    handle: (api, exchange, rest) => {
      const id = rest.replace(/\/endpoints$/, '');
      const body = id === rest ? api.models.one(id) : api.models.endpoints(id);
      if (!body) {
        const message = `Model not found: ${unknownModel(id, catalogue)}`;
        throw new ApiError('model_not_found', { message });
      }
      exchange.json(body);
    },
  },
  {
    method: 'GET',
    path: '/v1/wallet',
    summary: "Balance and statement of the key's account.",
    who: 'key',
    handle: wallet,
  },
  {
    method: 'GET',
    path: '/v1/key',
    summary: 'What the key may spend and has spent.',
    who: 'key',
    handle: ownKey,
  },
  {
    method: 'GET',
    path: '/v1/credits',
    summary: 'What the account has been credited, and has used.',
    who: 'key',
    handle: ownCredits,
  },
  {
    method: 'GET',
    path: '/v1/generation',
    summary: 'The receipt of a request.',
    who: 'key',
    handle: generation,
  },
  {
    method: 'GET',
    path: '/v1/receipt-keys',
    summary: 'The public keys that receipts are signed with.',
    who: 'anyone',
    handle: publicKeys,
  },
];

/** What the OpenAPI document says of these. */
export const described = endpoints.map(({ method, path, summary, who }) => ({
  method,
  path,
  summary,
  needsKey: who !== 'anyone',
}));

const exact = new Map(
  endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint]),
);
const prefixes = endpoints
  .filter(({ path }) => path.endsWith('*'))
  .map((endpoint) => ({ endpoint, prefix: endpoint.path.slice(0, -1) }));

/** Rejects with the ApiError that the client is told, while nothing has been answered yet */
export function answer(api: Api, exchange: Exchange): Promise<void> {
  const { method = 'GET', url = '/' } = exchange.request;
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  const endpoint = exact.get(`${method} ${path}`);
  if (endpoint) return enter(endpoint, api, exchange, '');
  const match = prefixes.find(
    ({ endpoint: { method: own }, prefix }) => own === method && path.startsWith(prefix),
  );
  if (match) return enter(match.endpoint, api, exchange, decoded(path.slice(match.prefix.length)));
  return Promise.reject(new ApiError('not_found', { message: notFound(method, path) }));
}

async function enter(
  endpoint: Endpoint,
  api: Api,
  exchange: Exchange,
  rest: string,
): Promise<void> {
  if (endpoint.who !== 'key') return endpoint.handle(api, exchange, rest);
  const { record } = await authenticate(api.keys, exchange.request, api.trustedProxies);
  exchange.preferErrorFormat(record.errorFormat);
  const leave = api.limits.admit(record.id, record.userId, (headers) =>
    exchange.addHeaders(headers),
  );
  try {
    await endpoint.handle(api, exchange, rest, record);
  } finally {
    leave();
  }
}

/** A slash in an id arrives plain or as %2F; proxies turn one into the other. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notFound(method: string, path: string): string {
  const other = endpoints.find((endpoint) => endpoint.path === path);
  return other
    ? `Not found: ${method} ${path}. Use ${other.method} ${path}.`
    : `Not found: ${method} ${path.slice(0, 200)}`;
}
