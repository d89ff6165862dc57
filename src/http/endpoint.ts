/** The endpoint type: a table entry that says method, path, who may enter, what is sent, and how it is answered. */
import type { Request, RequestHandler, Response, Router } from 'express';
import Joi from 'joi';
import { AppError, type ErrorCode, type FieldError } from '../errors.ts';
import type { BodyOptions, BodyReader } from './json-body.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

export interface Reply {
  status: number;
  body?: unknown;
  /** Sent as it is, instead of `body` as JSON. */
  text?: { type: string; content: string };
  headers?: Record<string, string>;
}

/** What a handler gets: the parsed input, and what the guard found out. */
export interface Call<Context, Body = unknown, Query = unknown> {
  req: Request;
  res: Response;
  params: Record<string, string>;
  body: Body;
  /** The top-level keys of the body as it was sent, before defaults. */
  sentFields: string[];
  query: Query;
  context: Context;
}

/** `Access` says who may enter and cannot be left out; what it can be is the guard's business. */
export interface Endpoint<Access, Context> {
  method: Method;
  /** Below the list's base, in Express syntax. */
  path: string;
  summary: string;
  access: Access;
  params?: Joi.ObjectSchema;
  query?: Joi.ObjectSchema;
  body?: Joi.ObjectSchema;
  /** Whether the schema would take the body as it is: asked first where a schema takes longer than all the rest. */
  isPlainBody?(sent: unknown): boolean;
  /** What the body looks like, where the handler checks it itself. */
  bodyShape?: Joi.Schema;
  /** Where more than JSON of the usual size is read. */
  bodyOptions?: BodyOptions;
  /** The answer when all goes well. */
  reply: { status: number; description: string; shape?: Joi.Schema /** Left out: JSON. */; type?: string };
  /** Codes of errors beside those that any endpoint can give. */
  errors?: readonly ErrorCode[];
  handle(call: Call<Context>): Promise<Reply> | Reply;
}

/** Decides who may enter, before the input is looked at and again when it is known. Throws to refuse. */
export interface Guard<Access, Context> {
  beforeInput(req: Request, res: Response, access: Access): Promise<void> | void;
  admit(call: Omit<Call<Context>, 'context'>, access: Access): Promise<Context> | Context;
}

export interface MountOptions<Access, Context> {
  guard: Guard<Access, Context>;
  readBody: BodyReader;
}

/** Puts a list of endpoints on a router; other methods on their paths answer 405, and OPTIONS says which there are. */
export function mountEndpoints<Access, Context>(
  router: Router,
  endpoints: readonly Endpoint<Access, Context>[],
  options: MountOptions<Access, Context>,
): void {
  for (const endpoint of endpoints) router[endpoint.method](endpoint.path, serve(endpoint, options));
  for (const path of new Set(endpoints.map((endpoint) => endpoint.path))) {
    const there = endpoints.filter((endpoint) => endpoint.path === path);
    refuseOtherMethods(
      router,
      path,
      there.map(({ method }) => method.toUpperCase()),
    );
  }
}

/** Answers what a path's own handlers leave over: OPTIONS with 204, every other method with 405, both with `Allow`. */
export function refuseOtherMethods(router: Router, path: string, methods: readonly string[]): void {
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  router.all(path, (req, res) => {
    res.setHeader('Allow', allow);
    if (req.method !== 'OPTIONS')
      throw new AppError('method_not_allowed', { message: `it answers ${allow}` });
    res.status(204).end();
  });
}

/** What answers an endpoint: guards, input, handler, answer. */
export function serve<Access, Context>(
  endpoint: Endpoint<Access, Context>,
  { guard, readBody }: MountOptions<Access, Context>,
): RequestHandler {
  return async (req, res) => {
    await guard.beforeInput(req, res, endpoint.access);
    // Postgres has no place for it in a text, and no address of ours contains it.
    if (req.url.includes('%00'))
      throw new AppError('invalid_request', { message: 'the address contains U+0000' });
    const params = endpoint.params
      ? (parse(endpoint.params, req.params, '/params') as Record<string, string>)
      : (req.params as Record<string, string>);
    const query =
      endpoint.query || req.url.includes('?')
        ? parse(endpoint.query ?? nothing, { ...req.query }, '/query')
        : {};
    const sent =
      endpoint.body || endpoint.bodyShape ? await readBody(req, res, endpoint.bodyOptions) : undefined;
    const body = endpoint.body ? checked(endpoint, sent ?? {}) : sent;
    const sentFields = typeof sent === 'object' && sent !== null ? Object.keys(sent) : [];
    const call = { req, res, params, query, body, sentFields };
    const context = await guard.admit(call, endpoint.access);
    send(res, await endpoint.handle({ req, res, params, query, body, sentFields, context }));
  };
}

const nothing = Joi.object({});

function checked<Access, Context>({ body, isPlainBody }: Endpoint<Access, Context>, sent: unknown): unknown {
  return !body || isPlainBody?.(sent) ? sent : parse(body, sent, '');
}

/** So much is told at once: a body of a hundred thousand unknown keys must not make an answer ten times its size. */
const MOST_ERRORS = 50;

/** The value as the schema makes it. Throws `invalid_request` with a pointer for each thing that is wrong. */
export function parse(schema: Joi.ObjectSchema, value: unknown, base: string): unknown {
  const result = schema.validate(value, { abortEarly: false, errors: { label: false }, convert: true });
  if (!result.error) return result.value;
  const errors: FieldError[] = result.error.details.slice(0, MOST_ERRORS).map((detail) => ({
    pointer:
      base +
      detail.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    message: detail.message,
  }));
  throw new AppError('invalid_request', {
    message: errors.map(({ pointer, message }) => `${pointer || '/'} ${message}`).join('; '),
    errors,
  });
}

function send(res: Response, { status, body, text, headers = {} }: Reply): void {
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'no-store');
  if (text) res.status(status).type(text.type).send(text.content);
  else if (body === undefined) res.status(status).end();
  // Where there is an ETag, Express compares it with what the client has.
  else if (res.hasHeader('ETag')) res.status(status).json(body);
  else {
    res.statusCode = status;
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    res.end(JSON.stringify(body));
  }
}
