/** A route made ready for requests: where they go, and how the resource is read from them. */
import { canonical } from '../attributes.ts';
import type { AttributeSpec, ResourceType } from '../policy.ts';
import type { Route, RouteUpstream } from './route.ts';
import { convert, type RouteSources, readTemplate, type Source, valueAt } from './route-value.ts';

/** Where requests go, every default filled in; times in ms. */
export interface CompiledUpstream {
  targets: readonly URL[];
  timeoutMs: number;
  retries: number;
  healthCheck: { path: string; intervalMs: number; timeoutMs: number } | undefined;
  webSocket: boolean;
  origins: readonly string[];
}

/** What is decided on, read from one request. */
export interface RouteResource {
  type: string;
  /** On a null prototype; `id` is one of them. */
  attributes: Record<string, unknown>;
}

export interface CompiledRoute {
  route: Route;
  upstream: CompiledUpstream | undefined;
  /** Whether the resource is read from the body, so that it must be there before anything is decided. */
  needsBody: boolean;
  /** The query parameters that the resource is read from; each may be there once. */
  needsQuery: readonly string[];
  /**
   * The resource that a request is about. A part that is missing leaves its attribute out. Throws `invalid_request` where a
   * part is not of the declared type; of a public route, which has no resource, `internal_error`.
   */
  resourceOf(sources: RouteSources): RouteResource;
}

interface Reading {
  name: string;
  spec: AttributeSpec;
  source: Source | undefined;
  literal: unknown;
}

const textSpec: AttributeSpec = { type: 'string' };

/** What the resource type declares of an attribute; every type has an `id`. */
export function specOf(type: ResourceType, name: string): AttributeSpec | undefined {
  if (Object.hasOwn(type.attributes, name)) return type.attributes[name];
  return name === 'id' ? textSpec : undefined;
}

/** A route that was checked, for its resource type; a public one has none. */
export function compileRoute(route: Route, type: ResourceType | undefined): CompiledRoute {
  const readings = type ? readingsOf(route, type) : [];
  const sources = readings.flatMap(({ source }) => source ?? []);
  return {
    route,
    upstream: compileUpstream(route.upstream),
    needsBody: sources.some(({ from }) => from === 'body'),
    needsQuery: [...new Set(sources.flatMap((source) => (source.from === 'query' ? [source.name] : [])))],
    resourceOf: (given) => ({ type: type?.type ?? '', attributes: readAttributes(readings, given) }),
  };
}

function readingsOf({ resourceId, attributes = {} }: Route, type: ResourceType): Reading[] {
  const values = { ...attributes, ...(resourceId !== undefined && { id: resourceId }) };
  return Object.entries(values).flatMap(([name, literal]) => {
    const spec = specOf(type, name);
    if (!spec) return [];
    const source = readTemplate(literal)?.source;
    return [{ name, spec, source, literal: source ? undefined : canonical(literal, spec.type, spec.items) }];
  });
}

function readAttributes(readings: readonly Reading[], sources: RouteSources): Record<string, unknown> {
  const attributes: Record<string, unknown> = Object.create(null);
  for (const { name, spec, source, literal } of readings) {
    const value = source ? convert(valueAt(source, sources), source, spec) : literal;
    if (value !== undefined) attributes[name] = value;
  }
  return attributes;
}

/** The targets of a route, and where in it each is written. They have the right shape. */
export function targetsOf({ upstream }: Route): { target: URL; pointer: string }[] {
  if (upstream === undefined) return [];
  if (typeof upstream === 'string') return [{ target: new URL(upstream), pointer: '/upstream' }];
  return upstream.targets.map((target, index) => ({
    target: new URL(target),
    pointer: `/upstream/targets/${index}`,
  }));
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_INTERVAL_MS = 5000;
const DEFAULT_CHECK_TIMEOUT_MS = 2000;

/** With every default filled in. */
export function compileUpstream(written: Route['upstream']): CompiledUpstream | undefined {
  if (written === undefined) return undefined;
  const given: RouteUpstream = typeof written === 'string' ? { targets: [written] } : written;
  const { targets, timeoutMs = DEFAULT_TIMEOUT_MS, retries = 1, webSocket = false, origins = [] } = given;
  const check = given.healthCheck;
  return {
    targets: targets.map((target) => new URL(target)),
    timeoutMs,
    retries,
    healthCheck: check && {
      path: check.path,
      intervalMs: check.intervalMs ?? DEFAULT_INTERVAL_MS,
      timeoutMs: check.timeoutMs ?? DEFAULT_CHECK_TIMEOUT_MS,
    },
    webSocket,
    origins,
  };
}
