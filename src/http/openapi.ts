/** OpenAPI 3.1, made from the endpoint tables and their joi schemas: what it says is what is checked. */
import type Joi from 'joi';
import { type ErrorCode, errorTable } from '../errors.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';

/** As much of an endpoint as a description needs. */
export interface DescribedEndpoint {
  method: string;
  path: string;
  summary: string;
  access:
    | 'public'
    | 'authenticated'
    | 'account'
    | { action: string; resource: string; load?: unknown; writes?: unknown };
  params?: Joi.ObjectSchema;
  query?: Joi.ObjectSchema;
  body?: Joi.ObjectSchema;
  bodyShape?: Joi.Schema;
  bodyOptions?: { plainJsonOnly?: true };
  reply: { status: number; description: string; shape?: Joi.Schema; type?: string };
  errors?: readonly ErrorCode[];
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description?: string;
  schema: JsonSchema;
}

export type Content = Record<string, { schema: JsonSchema }>;

export interface Operation {
  tags: string[];
  summary: string;
  /** Who may. */
  description: string;
  operationId: string;
  parameters: Parameter[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { description: string; content?: Content }>;
  security: Record<string, string[]>[];
}

export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; description: string };
  tags: { name: string }[];
  /** Path -> method -> operation. */
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, object>; schemas: Record<string, JsonSchema> };
}

/** The document as JSON. */
export function openApiDocument(endpoints: readonly DescribedEndpoint[]): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {};
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
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'The token that login answers, or an API key',
        },
        cookie: { type: 'apiKey', in: 'cookie', name: 'castellan', description: '__Host-castellan over TLS' },
      },
      schemas: { Problem: problemShape },
    },
  };
}

function operation(endpoint: DescribedEndpoint): Operation {
  const requestBody = bodyOf(endpoint);
  return {
    tags: [tagOf(endpoint)],
    summary: endpoint.summary,
    description: accessText(endpoint.access),
    operationId: `${endpoint.method}${endpoint.path.replace(/^\/api\/v1/, '').replace(/[/:.-]+(\w)/g, (_, letter) => letter.toUpperCase())}`,
    parameters: [...pathParameters(endpoint), ...queryParameters(endpoint.query), ...headers(endpoint)],
    ...(requestBody && { requestBody }),
    responses: { [endpoint.reply.status]: success(endpoint.reply), ...problems(endpoint) },
    security: endpoint.access === 'public' ? [] : [{ bearer: [] }, { cookie: [] }],
  };
}

function accessText(access: DescribedEndpoint['access']): string {
  if (access === 'public') return 'Open to everybody.';
  if (access === 'authenticated') return 'For whoever is identified.';
  return access === 'account'
    ? 'For whoever is logged in.'
    : `For those whom a rule allows to \`${access.action}\` the \`${access.resource}\`.`;
}

function tagOf({ path }: DescribedEndpoint): string {
  const [first = '', second] = path.replace(/^\/(api\/v1\/)?/, '').split('/');
  return first === 'admin' && second ? `admin: ${second}` : first;
}

/** A body may be left out where an empty one would do. */
function bodyOf({ body, bodyShape }: DescribedEndpoint): Operation['requestBody'] {
  const shape = body ?? bodyShape;
  if (!shape) return undefined;
  const required = !body || body.validate({}).error !== undefined;
  return { required, content: { 'application/json': { schema: jsonSchemaOf(shape, 'input') } } };
}

function pathParameters({ path, params }: DescribedEndpoint): Parameter[] {
  const { properties = {} }: JsonSchema = params ? jsonSchemaOf(params, 'input') : {};
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }));
}

function queryParameters(query: Joi.ObjectSchema | undefined): Parameter[] {
  const { properties = {}, required = [] }: JsonSchema = query ? jsonSchemaOf(query, 'input') : {};
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

const minRevision: Parameter = {
  name: 'Castellan-Min-Revision',
  in: 'header',
  required: false,
  description: 'decide at this revision of the policy or a later one',
  schema: { type: 'integer', minimum: 0 },
};

const ifMatch: Parameter = {
  name: 'If-Match',
  in: 'header',
  required: false,
  description: 'the ETag of what you have seen: nobody else has changed it since',
  schema: { type: 'string' },
};

function headers({ method, access, errors = [] }: DescribedEndpoint): Parameter[] {
  return [
    ...(typeof access === 'object' ? [minRevision] : []),
    ...(method !== 'post' && errors.includes('stale_version') ? [ifMatch] : []),
  ];
}

function success({
  description,
  shape,
  type = 'application/json',
}: DescribedEndpoint['reply']): Operation['responses'][string] {
  return shape
    ? { description, content: { [type]: { schema: jsonSchemaOf(shape, 'output') } } }
    : { description };
}

const bodyErrors: ErrorCode[] = ['malformed_json', 'body_too_large'];
const decisionErrors: ErrorCode[] = ['access_denied', 'policy_stale', 'revision_not_reached'];
const problemContent: Content = {
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
};

/** The errors that this endpoint can give, by status, and one entry for those that any can. */
function problems(endpoint: DescribedEndpoint): Operation['responses'] {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorCodesOf(endpoint)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const described = [...byStatus].map(([status, codes]) => [
    status,
    { description: codes.map((code) => `\`${code}\``).join(', '), content: problemContent },
  ]);
  return {
    ...Object.fromEntries(described),
    default: { description: 'Any other problem', content: problemContent },
  };
}

function errorCodesOf({ method, access, ...endpoint }: DescribedEndpoint): Set<ErrorCode> {
  const { params, query, body, bodyShape, bodyOptions, errors = [] } = endpoint;
  const codes = new Set<ErrorCode>(errors);
  if (params || query || body) codes.add('invalid_request');
  if (body || bodyShape) for (const code of bodyErrors) codes.add(code);
  if (body || bodyShape) codes.add(bodyOptions?.plainJsonOnly ? 'invalid_request' : 'unsupported_media_type');
  if (access !== 'public') codes.add('unauthenticated');
  if (method !== 'get') codes.add('cross_site_request');
  if (access === 'account') codes.add('access_denied');
  if (typeof access !== 'object') return codes;
  for (const code of decisionErrors) codes.add(code);
  if (access.load && params) codes.add('not_found');
  if (access.writes) codes.add('fields_denied');
  return codes;
}

const fieldError: JsonSchema = {
  type: 'object',
  properties: {
    pointer: { type: 'string', description: 'JSON pointer (RFC 6901)' },
    message: { type: 'string' },
  },
  required: ['pointer', 'message'],
};

const problemShape: JsonSchema = {
  type: 'object',
  description: 'RFC 9457',
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'where the code is explained' },
    title: { type: 'string', description: 'what the code means' },
    status: { type: 'integer', description: 'the HTTP status' },
    detail: { type: 'string', description: 'what is wrong this time, for people' },
    code: { type: 'string', enum: Object.keys(errorTable), description: 'what is wrong, for programs' },
    requestId: { type: 'string', description: 'the X-Request-Id of this request, also in the log' },
    errors: { type: 'array', items: fieldError, description: 'what is wrong with the input, and where' },
    problems: {
      type: 'array',
      description: 'what is wrong with the policy, and where',
      items: {
        ...fieldError,
        properties: { ...fieldError.properties, code: { type: 'string' }, suggestion: { type: 'string' } },
      },
    },
  },
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
};
