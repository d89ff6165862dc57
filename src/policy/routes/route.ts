/** The shape of a route: which requests it is about, what is decided on, and where they go then. */

export const routeMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Plain `Castellan-*` headers that an upstream may be given. */
export const identityHeaders = ['principal', 'roles', 'email'] as const;

/** A value, or a template that stands for one, such as `${path.projectId}`. */
export type RouteValue = string | number | boolean | readonly RouteValue[] | { [key: string]: RouteValue };

/** Where requests go, as it may be written in full. */
export interface RouteUpstream {
  /** `http(s)://host:port`, nothing after it. */
  targets: string[];
  timeoutMs?: number;
  retries?: number;
  healthCheck?: { path: string; intervalMs?: number; timeoutMs?: number };
  webSocket?: boolean;
  /** Pages that may open a WebSocket. */
  origins?: string[];
}

export interface RouteRateLimit {
  requests: number;
  windowSeconds: number;
  per: 'principal' | 'address' | 'route';
}

/** One route as written. It has a resource and an action, or is public. */
export interface Route {
  id: string;
  /** Lower case, without a port; left out: any. */
  host?: string;
  methods: string[];
  /** A template such as `/projects/:projectId/files/*rest`. */
  path: string;
  resource?: string;
  action?: string;
  /** The id of the resource: a template or a text. */
  resourceId?: string;
  attributes?: Record<string, RouteValue>;
  /** Left out: for forward-auth alone. */
  upstream?: string | RouteUpstream;
  headers?: string[];
  rateLimit?: RouteRateLimit;
  /** Nobody is asked for. */
  public?: boolean;
}

/** A route as a resource of type `castellan.route`: what rules about routes can ask. */
export function routeAttributes({ id, host, path, resource, action, ...route }: Route): object {
  return { id, host, path, resource, action, public: route.public === true };
}
