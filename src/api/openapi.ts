/** The OpenAPI 3.1 document, made of the same tables that answer: what is not in them is not in it. */

import { z } from 'zod';
import { cookieName } from '../accounts/sessions.ts';
import { type ErrorCode, errors } from '../errors.ts';
import type { Endpoint, OtherEndpoint } from './endpoint.ts';

type Json = Readonly<Record<string, unknown>>;

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    // What a handler returns is the input of its schema; of a body, the input is what people send.
    io,
    // Dates and exact money have their type in their meta.
    unrepresentable: 'any',
  });
  return json;
}

/** Members of an object schema as parameters. */
function parametersOf(schema: z.ZodType | null, place: 'path' | 'query'): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input');
  const names: readonly unknown[] = Array.isArray(required) ? required : [];
  return Object.entries(properties ?? {}).map(([name, one]) => ({
    name,
    in: place,
    required: place === 'path' || names.includes(name),
    schema: one,
  }));
}

const errorSchema = { $ref: '#/components/schemas/Error' };

/** Error answers by status, each with the codes that it may have. */
function refusals(codes: readonly ErrorCode[]): Json {
  const statuses = new Map<number, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const [status] = errors[code];
    statuses.set(status, [...(statuses.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...statuses]
      .sort(([one], [other]) => one - other)
      .map(([status, of]) => [
        String(status),
        {
          description: of.map((code) => `\`${code}\`: ${errors[code][1]}`).join('\n'),
          content: { 'application/json': { schema: errorSchema } },
        },
      ]),
  );
}

function codesOf({ who, handler }: Endpoint): ErrorCode[] {
  const { params, query, body, isRaw } = handler;
  return [
    ...handler.errors,
    ...(query || body ? (['invalid_request'] as const) : []),
    ...(body ? (['invalid_json', 'request_too_large'] as const) : []),
    ...(params ? (['not_found'] as const) : []),
    ...(who === 'anyone' ? [] : (['missing_session'] as const)),
    ...(who === 'admin' ? (['admin_only'] as const) : []),
    ...(isRaw ? [] : (['foreign_origin'] as const)),
    'internal_error',
    'database_unavailable',
  ];
}

function answerOf({ handler: { status, answer } }: Endpoint): Json {
  if (status === 204) return { 204: { description: errorFree } };
  const schema = answer && schemaOf(answer, 'input');
  const content = schema && { [String(schema.contentMediaType ?? 'application/json')]: { schema } };
  return { [status]: { description: errorFree, ...(content ? { content } : {}) } };
}

/** Of a schema that turns text into something else, the schema as JSON leaves it out. */
function exampleOf(schema: z.ZodType): Json {
  const examples = schema.meta()?.examples;
  return Array.isArray(examples) && examples.length > 0 ? { example: examples[0] } : {};
}

const errorFree = 'It worked.';

function operation(endpoint: Endpoint): Json {
  const { path, who, handler } = endpoint;
  const { params, query, body } = handler;
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(query, 'query')];
  return {
    summary: handler.summary,
    tags: [path.split('/')[2] ?? 'api'],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? {
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: schemaOf(body, 'input'), ...exampleOf(body) },
            },
          },
        }
      : {}),
    security: who === 'anyone' ? [] : [{ session: [] }],
    responses: { ...answerOf(endpoint), ...refusals(codesOf(endpoint)) },
  };
}

function otherOperation({ path, summary, needsKey }: OtherEndpoint): Json {
  return {
    summary,
    tags: ['v1'],
    ...(path.endsWith('*')
      ? { parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }] }
      : {}),
    security: needsKey ? [{ key: [] }] : [],
    responses: {
      200: { description: errorFree },
      default: {
        description: 'An error.',
        content: { 'application/json': { schema: errorSchema } },
      },
    },
  };
}

/** `/api/keys/:id` → `/api/keys/{id}`, `/v1/models/*` → `/v1/models/{id}`. */
function template(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{id}');
}

/** @param origin as people reach the site */
export function openApiDocument(
  endpoints: readonly Endpoint[],
  others: readonly OtherEndpoint[],
  origin: string,
): Json {
  const paths: Record<string, Record<string, Json>> = {};
  const add = (method: string, path: string, described: Json): void => {
    const at = template(path);
    paths[at] = { ...paths[at], [method.toLowerCase()]: described };
  };
  for (const endpoint of endpoints) add(endpoint.method, endpoint.path, operation(endpoint));
  for (const other of others) add(other.method, other.path, otherOperation(other));
  return {
    openapi: '3.1.0',
    info: {
      title: 'AK AI CORE',
      version: '1',
      description:
        'Paths under /v1 are asked with an API key; their bodies are described at /docs. Paths under /api are for people who signed in, with a session cookie and JSON.',
    },
    servers: [{ url: origin }],
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key, sk-or-…' },
        session: { type: 'apiKey', in: 'cookie', name: cookieName(origin.startsWith('https:')) },
      },
      schemas: {
        Error: {
          type: 'object',
          required: ['error', 'code', 'request_id'],
          properties: {
            error: { type: 'string', description: 'A sentence for people.' },
            code: { type: 'string', enum: Object.keys(errors) },
            param: { type: 'string', description: 'What is at fault, where there is one.' },
            request_id: { type: 'string' },
          },
        },
      },
    },
  };
}
