/**
 * How a route is declared: method, pattern, rules, handler. The handler's input is typed by the
 * pattern and the schemas, and has been checked when it arrives; a route knows nothing of its server.
 */
import { object } from 'valibot';
import { Refusal } from '../kernel/errors.ts';
import type { Reply, Context as TenantContext } from '../kernel/ports.ts';
import type { Role } from '../kernel/tenant.ts';
import {
  assertChangeable,
  entityTag,
  type Preconditions,
  preconditionFailed,
  unlessKnown,
} from './preconditions.ts';
import type { HttpRequest } from './request.ts';
import type { Target } from './request_target.ts';
import { type Fields, parseFields, parseQuery } from './validation.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

type ParamName<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamName<Rest>
  : never;

/** The parameters of a pattern: those of `/pets/{id}` are `{ id: string }`. */
export type Params<Pattern extends string> = { readonly [Name in ParamName<Pattern>]: string };

/** What a handler gets from the request. */
export type Input<Pattern extends string, Query, Body> = {
  params: Params<Pattern>;
  query: Query;
  body: Body;
  /** Where the request was sent, for links to other pages of a list. */
  target: Target;
  /**
   * Holds the request's preconditions against the resource as a GET would show it, or null when there
   * is none; throws `precondition_failed`. Null when the request has no preconditions.
   */
  assertChangeable: ((current: object | null) => void) | null;
};

type Check = (text: string) => boolean;

/** What must be so before the handler is called. */
export type Rules<Pattern extends string, Query, Body> = {
  /** The role it takes; every user may when absent. */
  role?: Role;
  /** What a parameter must look like; anything else is `not_found`, as an unknown id would be. */
  params?: { readonly [Name in ParamName<Pattern>]?: Check };
  query?: Fields<Query>;
  /** A function where what may be sent depends on what the path names. */
  body?: Fields<Body> | ((params: Params<Pattern>) => Fields<Body>);
  /** The handler calls `assertChangeable` itself, where nothing can come between look and change. */
  checksPreconditions?: true;
};

/** Does the work of a request that has been understood. */
export type Handler<Context, Sent> = (context: Context, input: Sent) => Promise<Reply>;

/** Where a route finds its input. */
export type InputSource = {
  params: Readonly<Record<string, string>>;
  request: Pick<HttpRequest, 'path' | 'query' | 'preconditions' | 'body'>;
  /** The most entries in an answer that names wrong fields. */
  errorLimit: number;
};

/** A declared route. */
export type Route<Context> = {
  method: Method;
  pattern: string;
  role: Role | null;
  /** @throws {Refusal} when the input does not fit. */
  prepare(source: InputSource): Promise<(context: Context) => Promise<Reply>>;
};

/**
 * Declares a route. The context is a tenant's unless the handler says otherwise.
 *
 * @example route('GET', '/api/pets/{id}', {}, async ({ db }, { params }) => json(200, params.id))
 */
export function route<
  Context = TenantContext,
  const Pattern extends string = string,
  Query = undefined,
  Body = undefined,
>(
  method: Method,
  pattern: Pattern,
  rules: Rules<Pattern, Query, Body>,
  handler: Handler<Context, Input<Pattern, Query, Body>>,
): Route<Context>;
export function route<Context>(
  method: Method,
  pattern: string,
  rules: Rules<string, unknown, unknown>,
  handler: Handler<Context, Input<string, unknown, unknown>>,
): Route<Context> {
  const checks = Object.entries<Check | undefined>(rules.params ?? {});
  return {
    method,
    pattern,
    role: rules.role ?? null,
    async prepare({ params, request, errorLimit }) {
      refuseForeignParams(checks, params);
      const { preconditions } = request;
      const fields = typeof rules.body === 'function' ? rules.body(params) : rules.body;
      const input = {
        params,
        query: queryOf(rules.query, request.query, errorLimit),
        body: fields && parseFields(fields, await request.body(), errorLimit),
        target: request,
        assertChangeable: preconditions && asCheck(preconditions),
      };
      if (!preconditions) return (context) => handler(context, input);
      if (method === 'GET') {
        return async (context) => unlessKnown(preconditions, await handler(context, input));
      }
      if (!rules.checksPreconditions) refuseTags(preconditions);
      return (context) => handler(context, input);
    },
  };
}

/** A route without a query of its own refuses every parameter. */
function queryOf<Query>(fields: Fields<Query> | undefined, query: string, errorLimit: number) {
  if (fields) return parseQuery(fields, query, errorLimit);
  if (query !== '') parseQuery(noFields, query, errorLimit);
  return undefined;
}

const noFields = object({});

function asCheck(preconditions: Preconditions): (current: object | null) => void {
  return (current) =>
    assertChangeable(preconditions, current && entityTag(JSON.stringify(current)));
}

/** Of what has no representation no tag can be known. */
function refuseTags({ ifMatch }: Preconditions): void {
  if (ifMatch !== null && ifMatch.trim() !== '*') throw preconditionFailed();
}

function refuseForeignParams(
  checks: readonly [name: string, accepts: Check | undefined][],
  params: Readonly<Record<string, string>>,
): void {
  if (checks.every(([name, accepts]) => accepts?.(params[name] ?? '') ?? true)) return;
  throw new Refusal('not_found', { detail: 'Not found' });
}
