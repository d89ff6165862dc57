/** The shape of routes as they are written. */
import Joi from 'joi';
import { type Shaped, shape } from '../shape.ts';
import { LONGEST_PATH } from './path-template.ts';
import { identityHeaders, type Route, routeMethods } from './route.ts';

const optional = (schema: Joi.Schema) => schema.allow(null);
const says = (message: string) => ({ 'any.invalid': message });

/** `http(s)://host:port` and nothing else: what follows would be taken for a part of the path that was decided on. */
const target = Joi.string()
  .max(300)
  .custom((value: string, helpers) => (isTarget(value) ? value : helpers.error('any.invalid')))
  .messages(
    says('must be http://host:port or https://host:port, without path, query, credentials or fragment'),
  );

function isTarget(value: string): boolean {
  if (!/^https?:\/\/[\x21-\x7e]+$/i.test(value) || /[/?#@\\%]/.test(value.replace(/^https?:\/\//i, '')))
    return false;
  return URL.canParse(value) && new URL(value).port !== '0';
}

/** As browsers send it, for it is compared with what they send. */
const origin = Joi.string()
  .max(300)
  .custom((value: string, helpers) =>
    isTarget(value) && new URL(value).origin === value ? value : helpers.error('any.invalid'),
  )
  .messages(says('must be an origin as browsers send it, such as https://app.example.com'));

const checkPath = Joi.string()
  .max(LONGEST_PATH)
  .pattern(/^\/[\x21-\x22\x24-\x5b\x5d-\x7e]*$/, 'path');

const timeoutMs = Joi.number().integer().min(1).max(600_000);

const upstreamSchema = Joi.object({
  targets: Joi.array().items(target).unique().min(1).max(16).required(),
  timeoutMs: timeoutMs.description('until the answer begins; 30000 when left out'),
  retries: Joi.number()
    .integer()
    .min(0)
    .max(3)
    .description('on other targets, where it is safe; 1 when left out'),
  healthCheck: Joi.object({
    path: checkPath.required(),
    intervalMs: Joi.number().integer().min(500).max(3_600_000).description('5000 when left out'),
    timeoutMs,
  }).description('asked of each target; one that fails is passed over'),
  webSocket: Joi.boolean().description('whether connections may be upgraded; false when left out'),
  origins: Joi.array()
    .items(origin)
    .unique()
    .min(1)
    .max(100)
    .description('of pages that may open a WebSocket'),
});

export const routeSchema = Joi.object({
  id: Joi.string()
    .pattern(/^[a-z0-9][a-z0-9-]{0,99}$/, 'slug')
    .description('made up when left out'),
  host: optional(
    Joi.string()
      .max(253)
      .pattern(
        /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$|^\[[0-9a-f:.]+\]$/,
        'host name',
      ),
  ).description('exact, lower case, without port; left out: any'),
  methods: Joi.array()
    .items(Joi.string().valid(...routeMethods))
    .unique()
    .min(1)
    .required()
    .description('GET does not bring HEAD along'),
  path: Joi.string().max(LONGEST_PATH).required().description('a template: /projects/:projectId/files/*rest'),
  resource: optional(Joi.string()).description('the resource type that is decided on'),
  action: optional(Joi.string()).description('one of its actions'),
  resourceId: optional(Joi.string().max(500)).description(`its id, such as $\{path.projectId}`),
  attributes: optional(Joi.object().pattern(Joi.string(), Joi.any()).max(100)).description(
    `by name: a value, or $\{path.x}, $\{query.x}, $\{header.x}, $\{body/x/y}`,
  ),
  upstream: optional(Joi.alternatives(target, upstreamSchema)).description(
    'where requests go; left out: for forward-auth alone',
  ),
  headers: optional(
    Joi.array()
      .items(Joi.string().valid(...identityHeaders))
      .unique(),
  ).description('plain Castellan-* headers that the upstream gets'),
  rateLimit: optional(
    Joi.object({
      requests: Joi.number().integer().min(1).max(1_000_000).required(),
      windowSeconds: Joi.number().integer().min(1).max(86_400).required(),
      per: Joi.string().valid('principal', 'address', 'route').default('principal'),
    }),
  ).description('so many requests in each window'),
  public: optional(Joi.boolean()).description('true = nobody is asked for'),
});

/** A route without what is null and without `public: false`, which says what its absence says; or what is wrong with its shape. */
export function shapeRoute(input: unknown, base = ''): Shaped<Route> {
  const shaped = shape<Route>(routeSchema, input, base);
  if (typeof shaped.value !== 'object' || shaped.value === null) return shaped;
  const said = Object.entries(shaped.value).filter(
    ([key, value]) => value !== null && !(key === 'public' && value === false),
  );
  return { ...shaped, value: Object.fromEntries(said) as unknown as Route };
}
