/** Roles, resource types and routes over HTTP: named parts of the policy, kept in one way. */
import Joi from 'joi';
import type { QueryBuilder } from 'objection';
import {
  type Access,
  endpoint,
  type GuardedCall,
  type GuardedEndpoint,
  type LoadCall,
} from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { AppError, type ErrorCode, type Problem, policyInvalid } from '../errors.ts';
import { pageKeys } from '../http/page.ts';
import { changedKeys } from '../policy/diff.ts';
import type { PolicyRow } from '../policy/models.ts';
import type { Policy } from '../policy/policy.ts';
import { locateInPart } from '../policy/publish.ts';
import type { Shaped } from '../policy/shape.ts';
import type { Services } from '../services.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { listReadable, type ReadablePage } from './list-readable.ts';
import { changeQuery, etagOf, publishChange, requireVersionOf } from './publish-change.ts';
import { admitted } from './under-lock.ts';

type Collection = 'roles' | 'resourceTypes' | 'routes';

/** What is particular to one collection. */
export interface PartOptions<Part extends object, Row extends PolicyRow> {
  /** The last part of the path. */
  path: string;
  collection: Collection;
  /** The property that names a part. */
  name: string;
  nameOf(part: Part | Row): string;
  resource: 'castellan.role' | 'castellan.resource-type' | 'castellan.route';
  schema: Joi.ObjectSchema;
  shape(input: unknown): Shaped<Part>;
  /** The rows that are shown. */
  rows(db: Database | Transaction): QueryBuilder<Row>;
  attributesOf(part: Part): object;
  /** Throws when the part cannot go. */
  refuseRemoval(policy: Policy, name: string, trx: Transaction): Promise<void> | void;
  inUse?: ErrorCode;
  /** Columns that the list may be narrowed by, each of that value. */
  filters?: Record<string, Joi.Schema>;
}

const writeErrors: ErrorCode[] = [
  'policy_invalid',
  'privilege_escalation',
  'policy_locks_out',
  'stale_version',
  'conflict',
  'cases_broken',
];

/** List, read, add, replace, change and remove. */
export function partEndpoints<Part extends object, Row extends PolicyRow>(
  services: Services,
  options: PartOptions<Part, Row>,
): GuardedEndpoint[] {
  const { path, name, resource, schema } = options;
  const base = `/api/v1/admin/${path}`;
  const one = `${base}/:${name}`;
  const params = Joi.object({ [name]: Joi.string().max(100).required() });
  const shape = schema.keys({
    version: Joi.number().integer(),
    createdAt: Joi.date().iso(),
    updatedAt: Joi.date().iso(),
  });
  const reply = { status: 200, description: 'It, its version as ETag', shape };
  const load = async ({ params: given }: LoadCall) => {
    const part = partsOf<Part>(services.live.snapshot.policy, options).find(
      (found) => options.nameOf(found) === given[name],
    );
    return part && options.attributesOf(part);
  };
  // Entities must go on fitting their types.
  const removalErrors = options.inUse ? [...writeErrors, options.inUse] : writeErrors;
  const changeErrors = options.collection === 'resourceTypes' ? removalErrors : writeErrors;
  const access = (action: string): Access => ({ action, resource, load });
  return [
    endpoint<undefined, ReadablePage>({
      method: 'get',
      path: base,
      summary: `List ${path}`,
      access: { action: 'read', resource },
      query: Joi.object({ ...pageKeys, ...options.filters }),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listParts(services, call, options) }),
    }),
    endpoint({
      method: 'post',
      path: base,
      summary: `Add to ${path}`,
      query: changeQuery,
      bodyShape: schema,
      access: {
        action: 'create',
        resource,
        load: ({ body }) => options.attributesOf(accepted(options, body)),
        writes: writtenKeys,
      },
      reply: { ...reply, status: 201 },
      errors: writeErrors,
      handle: (call) => addPart(services, call, options),
    }),
    endpoint({
      method: 'get',
      path: one,
      summary: `Read one of ${path}`,
      params,
      access: access('read'),
      reply,
      handle: (call) => answer(services, call, options, call.params[name] ?? '', 200),
    }),
    endpoint({
      method: 'put',
      path: one,
      summary: `Replace one of ${path}`,
      query: changeQuery,
      params,
      bodyShape: schema,
      access: access('update'),
      reply,
      errors: changeErrors,
      handle: (call) => changePart(services, call, options, (_, body) => body),
    }),
    endpoint({
      method: 'patch',
      path: one,
      summary: `Change parts of one of ${path}`,
      query: changeQuery,
      params,
      bodyShape: Joi.object().unknown(true),
      access: access('update'),
      reply,
      errors: changeErrors,
      handle: (call) => changePart(services, call, options, (part, body) => ({ ...part, ...body })),
    }),
    endpoint({
      method: 'delete',
      path: one,
      summary: `Remove one of ${path}`,
      query: changeQuery,
      params,
      access: access('delete'),
      reply: { status: 204, description: 'It is gone' },
      errors: removalErrors,
      handle: (call) => removePart(services, call, options),
    }),
  ];
}

/** The policy's list of such parts. */
function partsOf<Part>(policy: Policy, { collection }: { collection: Collection }): Part[] {
  return policy[collection] as unknown as Part[];
}

function listParts<Part extends object, Row extends PolicyRow>(
  services: Services,
  call: GuardedCall<unknown, ReadablePage>,
  options: PartOptions<Part, Row>,
) {
  const parts = new Map(
    partsOf<Part>(services.live.snapshot.policy, options).map((part) => [options.nameOf(part), part]),
  );
  const query: Record<string, unknown> = { ...call.query };
  const filteredBy = Object.keys(options.filters ?? {}).filter((key) => query[key] !== undefined);
  const wanted = Object.fromEntries(filteredBy.map((key) => [key, query[key]]));
  return listReadable<Row, object>(services, call, {
    page: (after, size) => {
      const rows = options.rows(services.db).where(wanted).orderBy(options.name).limit(size);
      return after === undefined ? rows : rows.where(options.name, '>', after);
    },
    nameOf: options.nameOf,
    resource: options.resource,
    filteredBy,
    attributesOf: (row) => options.attributesOf(parts.get(options.nameOf(row)) ?? ({} as Part)),
    present: (row) => present(services, call, options, row, parts.get(options.nameOf(row)) ?? ({} as Part)),
  });
}

/** The part as the caller may read it. */
function present<Part extends object, Row extends PolicyRow>(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  { resource, attributesOf }: PartOptions<Part, Row>,
  { version, createdAt, updatedAt }: Row,
  part: Part,
) {
  const request = gatekeeper.accessRequest(req, snapshot, { action: 'read', resource }, attributesOf(part));
  return showReadable(decisions, snapshot, request, { ...part, version, createdAt, updatedAt });
}

async function answer<Part extends object, Row extends PolicyRow>(
  services: Services,
  call: GuardedCall,
  options: PartOptions<Part, Row>,
  name: string,
  status: number,
) {
  const part = partsOf<Part>(services.live.snapshot.policy, options).find(
    (found) => options.nameOf(found) === name,
  );
  const row = await options.rows(services.db).findOne(options.name, name);
  if (!row || !part) throw new AppError('not_found');
  const location = status === 201 && { Location: `/api/v1/admin/${options.path}/${name}` };
  const body = await present(services, call, options, row, part);
  return { status, body, headers: { ETag: etagOf(row.version), ...location } };
}

function accepted<Part extends object, Row extends PolicyRow>(
  { shape }: PartOptions<Part, Row>,
  body: unknown,
): Part {
  const { value, problems } = shape(withoutRowKeys(body));
  if (problems.length > 0) throw policyInvalid(problems);
  return value;
}

/** What was read may be sent back: what the row adds is not part of it. */
export function withoutRowKeys(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new AppError('invalid_request', { message: 'the body must be an object' });
  return Object.fromEntries(Object.entries(body).filter(([key]) => !rowKeys.has(key)));
}

/** `message` is the author's words about the change. */
const rowKeys = new Set(['version', 'createdAt', 'updatedAt', 'message']);

/** The keys that a creation writes. */
export function writtenKeys({ sentFields }: LoadCall): string[] {
  return sentFields.filter((key) => !rowKeys.has(key));
}

async function addPart<Part extends object, Row extends PolicyRow>(
  services: Services,
  call: GuardedCall,
  options: PartOptions<Part, Row>,
) {
  const part = accepted(options, call.body);
  const name = options.nameOf(part);
  const change = (policy: Policy): Policy => {
    const parts = partsOf<Part>(policy, options);
    if (parts.some((found) => options.nameOf(found) === name)) {
      throw new AppError('conflict', {
        message: `${name} is there already`,
        errors: [{ pointer: `/${options.name}`, message: 'is taken' }],
      });
    }
    return { ...policy, [options.collection]: [...parts, part] };
  };
  await publishPart(services, call, options, name, 'create', change);
  return answer(services, call, options, name, 201);
}

async function changePart<Part extends object, Row extends PolicyRow>(
  services: Services,
  call: GuardedCall,
  options: PartOptions<Part, Row>,
  make: (part: Part, body: Record<string, unknown>) => object,
) {
  const name = call.params[options.name] ?? '';
  const change = async (policy: Policy, trx: Transaction): Promise<Policy> => {
    const before = await partUnderLock(call, policy, trx, options, name);
    await requireStill(services, call, options, 'update', before);
    const given = { [options.name]: name, ...make(before, withoutRowKeys(call.body)) };
    const problem: Problem = { pointer: `/${options.name}`, code: 'name', message: `must stay ${name}` };
    if (Reflect.get(given, options.name) !== name) throw policyInvalid([problem]);
    const after = accepted(options, given);
    await services.gatekeeper.requireFields(admitted(call.req), changedKeys(before, after));
    await services.gatekeeper.requireAllowedAfter(admitted(call.req), options.attributesOf(after));
    return {
      ...policy,
      [options.collection]: partsOf<Part>(policy, options).map((part) => (part === before ? after : part)),
    };
  };
  await publishPart(services, call, options, name, 'update', change);
  return answer(services, call, options, name, 200);
}

async function removePart<Part extends object, Row extends PolicyRow>(
  services: Services,
  call: GuardedCall,
  options: PartOptions<Part, Row>,
) {
  const name = call.params[options.name] ?? '';
  const change = async (policy: Policy, trx: Transaction): Promise<Policy> => {
    const before = await partUnderLock(call, policy, trx, options, name);
    await requireStill(services, call, options, 'delete', before);
    await options.refuseRemoval(policy, name, trx);
    return {
      ...policy,
      [options.collection]: partsOf<Part>(policy, options).filter((part) => part !== before),
    };
  };
  await publishPart(services, call, options, name, 'delete', change);
  return { status: 204 };
}

/** The part may have changed since it was decided on: it is decided on again as it is under the lock. */
async function requireStill<Part extends object, Row extends PolicyRow>(
  { gatekeeper }: Services,
  { req, res }: GuardedCall,
  { resource, attributesOf }: PartOptions<Part, Row>,
  action: string,
  part: Part,
): Promise<void> {
  await gatekeeper.requireAllowed(req, res, { action, resource }, attributesOf(part));
}

/** The part as it is now that nobody else can change it. Throws `not_found`, `stale_version`. */
async function partUnderLock<Part extends object, Row extends PolicyRow>(
  call: GuardedCall,
  policy: Policy,
  trx: Transaction,
  options: PartOptions<Part, Row>,
  name: string,
): Promise<Part> {
  const part = partsOf<Part>(policy, options).find((found) => options.nameOf(found) === name);
  if (!part) throw new AppError('not_found');
  await requireVersionOf(call.req, () => options.rows(trx).findOne(options.name, name));
  return part;
}

function publishPart<Part extends object, Row extends PolicyRow>(
  services: Services,
  { req, res, body }: GuardedCall,
  { collection, resource }: PartOptions<Part, Row>,
  name: string,
  verb: string,
  change: (policy: Policy, trx: Transaction) => Policy | Promise<Policy>,
) {
  const action = `${resource.replace('castellan.', '')}.${verb}`;
  return publishChange(services, {
    req,
    res,
    body,
    action,
    target: { type: resource, id: name },
    change,
    locate: locateInPart(collection, name),
  });
}
