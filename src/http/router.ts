/**
 * Finds the route for a method and a path, in a tree of path segments. A fixed segment comes before a
 * parameter. The input is only read when `parse()` of the match is called.
 */
import type { Mismatch, Reply } from '../kernel/ports.ts';
import type { Role } from '../kernel/tenant.ts';
import type { HttpRequest } from './request.ts';
import type { InputSource, Route } from './route.ts';

/** A route that matches. With a tenant's context it is the kernel's `Match`. */
export type RouteMatch<Context> = {
  endpoint: string;
  role: Role | null;
  parse(): Promise<(context: Context) => Promise<Reply>>;
};

/** A parameter of a route: the index of its segment, and its name. */
type Parameter = { at: number; name: string };

type Leaf<Context> = { route: Route<Context>; parameters: readonly Parameter[] };

type Node<Context> = {
  /** A `Map`, because `constructor` in a path would find a property of every object. */
  fixed: Map<string, Node<Context>>;
  parameter: Node<Context> | null;
  leaves: Map<string, Leaf<Context>>;
};

export type RouterLimits = {
  /** The maximum number of field errors in one reply. */
  fieldErrors: number;
};

export class Router<Context> {
  readonly #root: Node<Context> = emptyNode();
  readonly #errorLimit: number;

  /** @throws {Error} when two routes answer the same method and path. */
  constructor(routes: readonly Route<Context>[], limits: RouterLimits) {
    this.#errorLimit = limits.fieldErrors;
    for (const route of routes) this.#add(route);
  }

  /** Returns the route for a request. `path` is without the tenant's prefix. */
  match(
    request: Pick<HttpRequest, 'method'> & InputSource['request'],
    path: string,
  ): RouteMatch<Context> | Mismatch {
    const segments = segmentsOf(path);
    const node = find(this.#root, segments);
    if (!node) return { endpoint: 'unmatched', allow: null };
    const leaf = node.leaves.get(request.method === 'HEAD' ? 'GET' : request.method);
    if (!leaf) return { endpoint: endpointOf(node), allow: allowedMethods(node) };
    const { route, parameters } = leaf;
    const errorLimit = this.#errorLimit;
    return {
      endpoint: route.pattern,
      role: route.role,
      parse() {
        return route.parse({ params: paramsOf(parameters, segments), request, errorLimit });
      },
    };
  }

  #add(route: Route<Context>): void {
    const segments = segmentsOf(route.pattern);
    let node = this.#root;
    for (const segment of segments) {
      node = isParameter(segment) ? parameterOf(node) : fixedOf(node, segment);
    }
    if (node.leaves.has(route.method)) {
      throw new Error(`Cannot add the route "${route.method} ${route.pattern}": it exists already`);
    }
    node.leaves.set(route.method, { route, parameters: parametersOf(segments) });
  }
}

/** Depth-first, fixed segments before parameters; only a node with routes counts as found. */
function find<Context>(
  node: Node<Context>,
  segments: readonly string[],
  at = 0,
): Node<Context> | null {
  const segment = segments[at];
  if (segment === undefined) return node.leaves.size > 0 ? node : null;
  const fixed = node.fixed.get(segment);
  const found = fixed ? find(fixed, segments, at + 1) : null;
  if (found || !node.parameter || segment === '') return found;
  return find(node.parameter, segments, at + 1);
}

function emptyNode<Context>(): Node<Context> {
  return { fixed: new Map(), parameter: null, leaves: new Map() };
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

function parametersOf(segments: readonly string[]): Parameter[] {
  return segments.flatMap((segment, at) =>
    isParameter(segment) ? [{ at, name: segment.slice(1, -1) }] : [],
  );
}

function paramsOf(
  parameters: readonly Parameter[],
  segments: readonly string[],
): Record<string, string> {
  const params: Record<string, string> = {};
  for (const { at, name } of parameters) params[name] = segments[at] ?? '';
  return params;
}

function endpointOf<Context>({ leaves }: Node<Context>): string {
  const [first] = leaves.values();
  return first?.route.pattern ?? 'unmatched';
}

function allowedMethods<Context>({ leaves }: Node<Context>): string[] {
  const methods = [...leaves.keys()];
  return [...methods, ...(leaves.has('GET') ? ['HEAD'] : []), 'OPTIONS'];
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{') && segment.endsWith('}');
}
