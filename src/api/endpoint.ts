/** What an endpoint of the site's API is: what it takes and gives, checked by zod, and the function that answers. */

import type { z } from 'zod';
import type { User } from '../accounts/sessions.ts';
import type { SignIn } from '../accounts/sign_in.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { ApiError, type ErrorCode } from '../errors.ts';
import type { Desk } from '../payments/desk.ts';
import type { Visit } from './visit.ts';

/** An endpoint without schemas here: the documentation says what it takes. */
export interface OtherEndpoint {
  readonly method: string;
  /** A trailing `*` takes the rest of the path. */
  readonly path: string;
  readonly summary: string;
  readonly needsKey: boolean;
}

/** What handlers work with; made once by the server. */
export interface Site {
  readonly config: Config;
  readonly sql: Sql;
  /** For questions that may read many rows. */
  readonly statements: Sql;
  /** Address of the site as people see it, such as https://akaicore.space. */
  readonly origin: () => string;
  readonly signIn: SignIn;
  readonly desk: Desk;
  /** Endpoints outside /api, for the OpenAPI document. */
  readonly others: readonly OtherEndpoint[];
  /** Signs session cookies. */
  readonly sessionSecret: string;
  /** Told of what nobody could foresee, for the log. */
  readonly report: (message: string, error: unknown) => void;
}

/** One request to a handler: everything in it has been checked. */
export interface Call<Who, Params, Query, Body> {
  readonly site: Site;
  /** Whose session it is; null for an endpoint that anyone may call. */
  readonly user: Who;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly visit: Visit;
}

/** `204` has no body. */
type Status = 200 | 201 | 202 | 204;

interface Definition<Who, Params, Query, Body, Answer> {
  /** For the OpenAPI document. */
  readonly summary: string;
  /** Parameters in the path; one that does not fit is not found. */
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  /** JSON. Where it is left out, a body is not read. */
  readonly body?: z.ZodType<Body>;
  /** 200 where it is not said. */
  readonly status?: Status;
  /** JSON as the handler returns it, for the document and the types; its money and dates become text as JSON.stringify has it. */
  readonly answer: z.ZodType<Answer>;
  /** What else it may answer; those that any endpoint answers need no mention. */
  readonly errors?: readonly ErrorCode[];
  /** A Response is passed on as it is. @throws ApiError */
  readonly handle: (
    call: Call<Who, Params, Query, Body>,
  ) => Answer | Response | Promise<Answer | Response>;
}

/** A definition without its types: it checks by itself. */
export interface Handler<Who> {
  readonly summary: string;
  readonly params: z.ZodType | null;
  readonly query: z.ZodType | null;
  readonly body: z.ZodType | null;
  readonly status: Status;
  /** Null for what is not JSON. */
  readonly answer: z.ZodType | null;
  readonly errors: readonly ErrorCode[];
  /** Takes and gives anything, such as forms and pages; sees no session, so that no page of others can use one. */
  readonly isRaw: boolean;
  readonly respond: (given: Given<Who>) => Promise<Response>;
}

interface Given<Who> {
  readonly site: Site;
  readonly user: Who;
  readonly visit: Visit;
  readonly params: Readonly<Record<string, string>>;
}

/** `:id` in a path is a parameter. */
export type Endpoint = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: `/api/${string}`;
} & (
  | { readonly who: 'anyone'; readonly handler: Handler<null> }
  | { readonly who: 'session' | 'admin'; readonly handler: Handler<User> }
);

function handler<Who, Params, Query, Body, Answer>(
  definition: Definition<Who, Params, Query, Body, Answer>,
): Handler<Who> {
  const { summary, params, query, body, status = 200, answer, errors = [], handle } = definition;
  return {
    summary,
    params: params ?? null,
    query: query ?? null,
    body: body ?? null,
    status,
    answer,
    errors,
    isRaw: false,
    respond: async ({ site, user, visit, params: inPath }) => {
      const answered = await handle({
        site,
        user,
        visit,
        params: checkedPath(params, inPath),
        query: checked(query, query ? visit.query() : undefined),
        body: checked(body, body ? await visit.json() : undefined),
      });
      if (answered instanceof Response) return answered;
      return status === 204
        ? new Response(null, { status })
        : new Response(JSON.stringify(answered), {
            status,
            headers: { 'content-type': 'application/json' },
          });
    },
  };
}

/** For anyone, signed in or not. */
export function forAnyone<Params, Query, Body, Answer>(
  definition: Definition<null, Params, Query, Body, Answer>,
): Handler<null> {
  return handler(definition);
}

/** For who is signed in; whether any user or administrators only, the table says. */
export function forUser<Params, Query, Body, Answer>(
  definition: Definition<User, Params, Query, Body, Answer>,
): Handler<User> {
  return handler(definition);
}

/** For callbacks and webhooks of others: bodies are read as `visit.text()` or `visit.form()`, answers are whatever they are. */
export function rawForAnyone(definition: {
  readonly summary: string;
  readonly errors?: readonly ErrorCode[];
  readonly handle: (given: Given<null>) => Response | Promise<Response>;
}): Handler<null> {
  return {
    summary: definition.summary,
    params: null,
    query: null,
    body: null,
    status: 200,
    answer: null,
    errors: definition.errors ?? [],
    isRaw: true,
    respond: async (given) => definition.handle(given),
  };
}

/** @throws ApiError invalid_request that names the member at fault */
function checked<T>(schema: z.ZodType<T> | undefined, value: unknown): T {
  // as: without a schema nothing is taken, and the type of nothing is whatever the handler makes of it
  if (!schema) return undefined as T;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (!issue) throw new ApiError('invalid_request');
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...issue.path, ...(unknown === undefined ? [] : [unknown])].join('.');
  const message = unknown === undefined ? sentence(path, issue.message) : `There is no "${path}".`;
  throw new ApiError('invalid_request', { message, ...(path ? { param: path } : {}) });
}

function sentence(path: string, problem: string): string {
  return path ? `"${path}": ${problem}.` : `${problem}.`;
}

function checkedPath<T>(schema: z.ZodType<T> | undefined, value: unknown): T {
  try {
    return checked(schema, value);
  } catch (cause) {
    throw new ApiError('not_found', { cause });
  }
}
