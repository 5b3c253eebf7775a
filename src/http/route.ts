/**
 * Declares a route: method, pattern, rules, handler. The type of the handler's input follows from the
 * pattern and the schemas, and the input is checked before the handler is called.
 */
import { object } from 'valibot';
import { notFound } from '../kernel/errors.ts';
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
import type { RequestTarget } from './request_target.ts';
import { type Fields, parseFields, parseQuery } from './validation.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

type ParamName<Pattern extends string> = Pattern extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamName<Rest>
  : never;

/** The parameters of a pattern: those of `/pets/{id}` are `{ id: string }`. */
export type Params<Pattern extends string> = { readonly [Name in ParamName<Pattern>]: string };

/** The handler's input, from the request. */
export type Input<Pattern extends string, Query, Body> = {
  params: Params<Pattern>;
  query: Query;
  body: Body;
  /** Where the request was sent, for links to other pages of a list. */
  target: RequestTarget;
  /**
   * Compares the request's preconditions with the resource as a GET would show it, or with null when there
   * is none. Throws `precondition_failed`. The function itself is null without preconditions.
   */
  assertChangeable: ((current: object | null) => void) | null;
};

type Check = (text: string) => boolean;

/** The checks before the handler is called. */
export type Rules<Pattern extends string, Query, Body> = {
  /** The required role; every user may call the route when absent. */
  role?: Role;
  /** A check of each parameter. A value that fails is `not_found`, like an unknown id. */
  params?: { readonly [Name in ParamName<Pattern>]?: Check };
  query?: Fields<Query>;
  /**
   * A function when the fields depend on a parameter of the path. Without it, a POST, PUT or PATCH may have
   * no body, or an object without fields.
   */
  body?: Fields<Body> | ((params: Params<Pattern>) => Fields<Body>);
  /** The handler calls `assertChangeable` itself, where no other change can come in between. */
  checksPreconditions?: true;
};

/** Does the work of a request whose input has been checked. */
export type Handler<Context, Sent> = (context: Context, input: Sent) => Promise<Reply>;

/** The sources of a route's input. */
export type InputSource = {
  params: Readonly<Record<string, string>>;
  request: Pick<HttpRequest, 'path' | 'query' | 'preconditions' | 'hasBody' | 'body'>;
  /** The maximum number of field errors in a reply. */
  errorLimit: number;
};

export type Route<Context> = {
  method: Method;
  pattern: string;
  role: Role | null;
  /** @throws {Refusal} when the input is wrong. */
  parse(source: InputSource): Promise<(context: Context) => Promise<Reply>>;
};

/**
 * Returns a route. The context is a tenant's, unless the handler declares another type.
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
  const refusesFields = !rules.body && method !== 'GET' && method !== 'DELETE';
  const checks = Object.entries<Check | undefined>(rules.params ?? {});
  return {
    method,
    pattern,
    role: rules.role ?? null,
    async parse({ params, request, errorLimit }) {
      refuseForeignParams(checks, params);
      const { preconditions } = request;
      const fields = typeof rules.body === 'function' ? rules.body(params) : rules.body;
      const input = {
        params,
        query: queryOf(rules.query, request.query, errorLimit),
        body: fields && parseFields(fields, await request.body(), errorLimit),
        // Not the request itself: all of it would survive minor garbage collections.
        target: { path: request.path, query: request.query },
        assertChangeable: preconditions && asCheck(preconditions),
      };
      if (refusesFields && request.hasBody) {
        parseFields(noFields, await request.body(), errorLimit);
      }
      if (!preconditions) return (context) => handler(context, input);
      if (method === 'GET') {
        return async (context) => unlessKnown(preconditions, await handler(context, input));
      }
      if (!rules.checksPreconditions) refuseTags(preconditions);
      return (context) => handler(context, input);
    },
  };
}

/** A route without query fields refuses every parameter. */
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

/** Without a representation there is no tag that a client could know. */
function refuseTags({ ifMatch }: Preconditions): void {
  if (ifMatch !== null && ifMatch.trim() !== '*') throw preconditionFailed();
}

function refuseForeignParams(
  checks: readonly [name: string, accepts: Check | undefined][],
  params: Readonly<Record<string, string>>,
): void {
  if (checks.every(([name, accepts]) => accepts?.(params[name] ?? '') ?? true)) return;
  notFound();
}
