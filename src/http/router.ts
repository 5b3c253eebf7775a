/**
 * Finds the route of a method and a path: a tree of path segments, in which a fixed segment comes
 * before a parameter. It reads nothing of the request; the match it returns does, when asked to.
 */
import type { Mismatch, Reply } from '../kernel/ports.ts';
import type { Role } from '../kernel/tenant.ts';
import type { HttpRequest } from './request.ts';
import type { Route } from './route.ts';

/** A route that fits. With the tenant's context it is the kernel's own `Match`. */
export type RouteMatch<Context> = {
  endpoint: string;
  role: Role | null;
  prepare(): Promise<(context: Context) => Promise<Reply>>;
};

type Node<Context> = {
  /** A `Map`, not an object: `constructor` in a path must not find what nobody put there. */
  fixed: Map<string, Node<Context>>;
  parameter: Node<Context> | null;
  routes: Map<string, Route<Context>>;
};

export class Router<Context> {
  readonly #root: Node<Context> = emptyNode();
  readonly #errorLimit: number;

  /** @throws {Error} when two routes answer the same method and path. */
  constructor(routes: readonly Route<Context>[], bounds: { fieldErrors: number }) {
    this.#errorLimit = bounds.fieldErrors;
    for (const route of routes) this.#add(route);
  }

  /** The route for a request whose path, without the tenant's prefix, is `path`. */
  match(
    request: Pick<HttpRequest, 'method' | 'query' | 'body'>,
    path: string,
  ): RouteMatch<Context> | Mismatch {
    const segments = segmentsOf(path);
    const node = find(this.#root, segments);
    if (!node) return { endpoint: 'unmatched', allow: null };
    const route = node.routes.get(request.method === 'HEAD' ? 'GET' : request.method);
    if (!route) return { endpoint: endpointOf(node), allow: allowedMethods(node) };
    const { query } = request;
    const params = paramsOf(route.pattern, segments);
    return {
      endpoint: route.pattern,
      role: route.role,
      prepare: () =>
        route.prepare({ params, query, body: () => request.body(), errorLimit: this.#errorLimit }),
    };
  }

  #add(route: Route<Context>): void {
    let node = this.#root;
    for (const segment of segmentsOf(route.pattern)) {
      node = isParameter(segment) ? parameterOf(node) : fixedOf(node, segment);
    }
    if (node.routes.has(route.method)) {
      throw new Error(`Cannot add the route "${route.method} ${route.pattern}": there is one`);
    }
    node.routes.set(route.method, route);
  }
}

/** Depth-first, fixed segments before parameters; only a node with routes counts as found. */
function find<Context>(
  node: Node<Context>,
  segments: readonly string[],
  at = 0,
): Node<Context> | null {
  const segment = segments[at];
  if (segment === undefined) return node.routes.size > 0 ? node : null;
  const fixed = node.fixed.get(segment);
  const found = fixed ? find(fixed, segments, at + 1) : null;
  if (found || !node.parameter || segment === '') return found;
  return find(node.parameter, segments, at + 1);
}

function emptyNode<Context>(): Node<Context> {
  return { fixed: new Map(), parameter: null, routes: new Map() };
}

function fixedOf<Context>(node: Node<Context>, segment: string): Node<Context> {
  const next = node.fixed.get(segment) ?? emptyNode<Context>();
  node.fixed.set(segment, next);
  return next;
}

function parameterOf<Context>(node: Node<Context>): Node<Context> {
  node.parameter ??= emptyNode();
  return node.parameter;
}

function paramsOf(pattern: string, segments: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [at, part] of segmentsOf(pattern).entries()) {
    if (isParameter(part)) params[part.slice(1, -1)] = segments[at] ?? '';
  }
  return params;
}

function endpointOf<Context>({ routes }: Node<Context>): string {
  const [first] = routes.values();
  return first?.pattern ?? 'unmatched';
}

function allowedMethods<Context>({ routes }: Node<Context>): string[] {
  const methods = [...routes.keys()];
  return routes.has('GET') ? [...methods, 'HEAD'] : methods;
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{') && segment.endsWith('}');
}
