/** Which route a request takes: a tree of segments for each host, gone through once. */
import type { CompiledRoute } from './compile-route.ts';
import { namesIn, type PathTemplate } from './path-template.ts';
import { foldAscii, reservedPrefixOf } from './reserved-prefixes.ts';

export interface MatchedRoute {
  route: CompiledRoute;
  /** By the names of the template, on a null prototype; of `*rest` the segments joined by `/`. */
  params: Record<string, string>;
}

export interface MatchOptions {
  /** Literals are compared without regard to the case of ASCII letters, as a lax upstream would. */
  fold?: boolean;
}

/** The routes of one revision. Hosts come without port; segments come decoded, none of them empty, none of them a dot segment. */
export interface RouteTable {
  readonly size: number;
  /**
   * The most specific route of this method: one of this host before one of any; then, segment by segment, a literal before a
   * parameter before the rest. Reserved paths have no route but those of a host that have no upstream.
   */
  match(
    host: string | undefined,
    method: string,
    segments: readonly string[],
    options?: MatchOptions,
  ): MatchedRoute | undefined;
  /** The methods that some route answers there. */
  methodsAt(host: string | undefined, segments: readonly string[]): string[];
  /** Whether the path is one of Castellan itself. */
  isReserved(segments: readonly string[]): boolean;
}

/** A route and its path read. */
export interface PlacedRoute {
  compiled: CompiledRoute;
  segments: PathTemplate;
}

/** By method; one that is there already stays. */
type Leaf = Map<string, PlacedRoute>;

interface Node {
  literals: Map<string, Node>;
  /** The literals by their lower case, where one of them has capitals or is asked for so. */
  folded: Map<string, Node[]>;
  param: Node | undefined;
  leaf: Leaf | undefined;
  rest: Leaf | undefined;
}

/** Puts routes into a table; of two that match the same, the first stays. */
export function makeRouteTable(routes: readonly PlacedRoute[]): RouteTable {
  return Object.freeze(new Trees(routes));
}

class Trees implements RouteTable {
  readonly size: number;
  readonly #hosts = new Map<string, Node>();
  readonly #anyHost = newNode();

  constructor(routes: readonly PlacedRoute[]) {
    this.size = routes.length;
    for (const placed of routes) place(this.#rootOf(placed.compiled.route.host), placed);
  }

  match(
    host: string | undefined,
    method: string,
    segments: readonly string[],
    { fold = false }: MatchOptions = {},
  ): MatchedRoute | undefined {
    const isReserved = this.isReserved(segments);
    for (const root of this.#rootsFor(host, segments)) {
      const found = find(root, segments, fold, (leaf) => {
        const placed = leaf.get(method);
        return placed && mayTake(placed, isReserved) ? placed : undefined;
      });
      if (found) return { route: found.compiled, params: paramsOf(found.segments, segments) };
    }
    return undefined;
  }

  methodsAt(host: string | undefined, segments: readonly string[]): string[] {
    const isReserved = this.isReserved(segments);
    const methods = new Set<string>();
    for (const root of this.#rootsFor(host, segments))
      find(root, segments, false, (leaf) => {
        for (const [method, placed] of leaf) if (mayTake(placed, isReserved)) methods.add(method);
        return undefined;
      });
    return [...methods];
  }

  isReserved(segments: readonly string[]): boolean {
    return reservedPrefixOf(segments) !== undefined;
  }

  #rootOf(host: string | undefined): Node {
    if (host === undefined) return this.#anyHost;
    const root = this.#hosts.get(host) ?? newNode();
    this.#hosts.set(host, root);
    return root;
  }

  #rootsFor(host: string | undefined, segments: readonly string[]): Node[] {
    if (segments.includes('')) return [];
    const own = host === undefined ? undefined : this.#hosts.get(foldAscii(host));
    return own ? [own, this.#anyHost] : [this.#anyHost];
  }
}

/** At another host the reserved paths are those of somebody else, whom a proxy asks about with forward-auth. */
function mayTake({ compiled: { route } }: PlacedRoute, isReserved: boolean): boolean {
  return !isReserved || (route.host !== undefined && route.upstream === undefined);
}

function newNode(): Node {
  return { literals: new Map(), folded: new Map(), param: undefined, leaf: undefined, rest: undefined };
}

function place(root: Node, placed: PlacedRoute): void {
  let node = root;
  for (const segment of placed.segments) {
    if (segment.kind === 'rest') {
      node.rest ??= new Map();
      fill(node.rest, placed);
      return;
    }
    if (segment.kind === 'param') {
      node.param ??= newNode();
      node = node.param;
    } else node = literalBelow(node, segment.text);
  }
  node.leaf ??= new Map();
  fill(node.leaf, placed);
}

function literalBelow(node: Node, text: string): Node {
  const known = node.literals.get(text);
  if (known) return known;
  const made = newNode();
  node.literals.set(text, made);
  const folded = foldAscii(text);
  node.folded.set(folded, [...(node.folded.get(folded) ?? []), made]);
  return made;
}

function fill(leaf: Leaf, placed: PlacedRoute): void {
  for (const method of placed.compiled.route.methods) if (!leaf.has(method)) leaf.set(method, placed);
}

/**
 * Offers the leaves that match, the most specific first, until one is taken. Each node stands for one way through the
 * template, so none is looked at twice: the work is bounded by the number of nodes, whatever the path.
 */
function find<T>(
  root: Node,
  segments: readonly string[],
  fold: boolean,
  take: (leaf: Leaf) => T | undefined,
): T | undefined {
  const visit = (node: Node, at: number): T | undefined => {
    const text = segments[at];
    if (text === undefined) return node.leaf && take(node.leaf);
    for (const below of fold ? foldedBelow(node, text) : []) {
      const found = visit(below, at + 1);
      if (found !== undefined) return found;
    }
    const literal = fold ? undefined : node.literals.get(text);
    return (
      (literal && visit(literal, at + 1)) ??
      (node.param && visit(node.param, at + 1)) ??
      (node.rest && take(node.rest))
    );
  };
  return visit(root, 0);
}

/** The one that is spelled as it was asked for comes first. */
function foldedBelow(node: Node, text: string): readonly Node[] {
  const all = node.folded.get(foldAscii(text)) ?? [];
  const exact = node.literals.get(text);
  return exact && all.length > 1 ? [exact, ...all.filter((other) => other !== exact)] : all;
}

function paramsOf(template: PathTemplate, segments: readonly string[]): Record<string, string> {
  const params: Record<string, string> = Object.create(null);
  if (namesIn(template).length === 0) return params;
  for (const [at, segment] of template.entries()) {
    if (segment.kind === 'param') params[segment.name] = segments[at] ?? '';
    else if (segment.kind === 'rest') params[segment.name] = segments.slice(at).join('/');
  }
  return params;
}
