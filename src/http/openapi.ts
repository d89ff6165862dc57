/** OpenAPI 3.1, made from the endpoint tables and their joi schemas: what it says is what is checked. */
import type Joi from 'joi';
import { type ErrorCode, errorTable } from '../errors.ts';

/** As much of an endpoint as a description needs. */
export interface DescribedEndpoint {
  method: string;
  path: string;
  summary: string;
  access: 'public' | 'authenticated' | { action: string; resource: string };
  params?: Joi.ObjectSchema;
  query?: Joi.ObjectSchema;
  body?: Joi.ObjectSchema;
  bodyShape?: Joi.Schema;
  reply: { status: number; description: string; shape?: Joi.Schema };
  errors?: readonly ErrorCode[];
}

type Json = Record<string, unknown>;

/** The document as JSON. */
export function openApiDocument(endpoints: readonly DescribedEndpoint[]): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method]: operation(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Castellan',
      version: '1',
      description: 'A policy-as-data gateway: accounts, sessions, rules as rows, and decisions.',
    },
    tags: [...new Set(endpoints.map(tagOf))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The token that login answers' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'castellan', description: '__Host-castellan over TLS' },
      },
      schemas: { Problem: problemShape },
    },
  };
}

function operation(endpoint: DescribedEndpoint): Json {
  const body = endpoint.body ?? endpoint.bodyShape;
  return {
    tags: [tagOf(endpoint)],
    summary: endpoint.summary,
    description: accessText(endpoint.access),
    operationId: `${endpoint.method}${endpoint.path.replace(/^\/api\/v1/, '').replace(/[/:.-]+(\w)/g, (_, letter) => letter.toUpperCase())}`,
    parameters: [...pathParameters(endpoint), ...queryParameters(endpoint.query)],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: toJsonSchema(body) } } },
    }),
    responses: { [endpoint.reply.status]: success(endpoint.reply), ...problems(endpoint) },
    security: endpoint.access === 'public' ? [] : [{ bearer: [] }, { cookie: [] }],
  };
}

function accessText(access: DescribedEndpoint['access']): string {
  if (access === 'public') return 'Open to everybody.';
  return access === 'authenticated'
    ? 'For whoever is logged in.'
    : `For those whom a rule allows to \`${access.action}\` the \`${access.resource}\`.`;
}

function tagOf({ path }: DescribedEndpoint): string {
  const [first = '', second] = path.replace(/^\/(api\/v1\/)?/, '').split('/');
  return first === 'admin' && second ? `admin: ${second}` : first;
}

function pathParameters({ path, params }: DescribedEndpoint): Json[] {
  const shapes = (params ? toJsonSchema(params).properties : {}) as Record<string, Json>;
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: shapes[name] ?? { type: 'string' },
  }));
}

function queryParameters(query: Joi.ObjectSchema | undefined): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = toJsonSchema(query) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function success({ description, shape }: DescribedEndpoint['reply']): Json {
  return shape
    ? { description, content: { 'application/json': { schema: toJsonSchema(shape) } } }
    : { description };
}

const bodyErrors: ErrorCode[] = ['malformed_json', 'body_too_large', 'unsupported_media_type'];
const decisionErrors: ErrorCode[] = ['access_denied', 'policy_stale', 'revision_not_reached'];

/** The errors that this endpoint can give, by status. */
function problems({ access, body, bodyShape, query, errors = [] }: DescribedEndpoint): Json {
  const codes = new Set<ErrorCode>(errors);
  if (body || query) codes.add('invalid_request');
  if (body || bodyShape) for (const code of bodyErrors) codes.add(code);
  if (access !== 'public') codes.add('unauthenticated');
  if (typeof access === 'object') for (const code of decisionErrors) codes.add(code);
  const answers: Record<string, string[]> = {};
  for (const code of codes) {
    const status = String(errorTable[code].status);
    answers[status] = [...(answers[status] ?? []), code];
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    Object.entries(answers).map(([status, names]) => [
      status,
      { description: names.map((name) => `\`${name}\``).join(', '), content },
    ]),
  );
}

function toJsonSchema(schema: Joi.Schema): Json {
  return schema['~standard'].jsonSchema.input({ target: 'draft-2020-12' }) as Json;
}

const fieldError = {
  type: 'object',
  properties: {
    pointer: { type: 'string', description: 'JSON pointer (RFC 6901)' },
    message: { type: 'string' },
  },
  required: ['pointer', 'message'],
};

const problemShape = {
  type: 'object',
  description: 'RFC 9457',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(errorTable) },
    requestId: { type: 'string' },
    errors: { type: 'array', items: fieldError },
    problems: {
      type: 'array',
      items: {
        ...fieldError,
        properties: { ...fieldError.properties, code: { type: 'string' }, suggestion: { type: 'string' } },
      },
    },
  },
  required: ['type', 'title', 'status', 'code', 'requestId'],
};
