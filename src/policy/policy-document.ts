/** The policy as one document: read from JSON or YAML with every problem in it, and written in one form. */
import { createHash } from 'node:crypto';
import type { Problem } from '../errors.ts';
import { order, partText, sortedText } from './compile.ts';
import { type Entity, shapeEntity } from './entity.ts';
import {
  type Case,
  type CedarPart,
  type Collection,
  collections,
  emptyPolicy,
  listOf,
  nameOf,
  type Part,
  type Policy,
  partNames,
  type ResourceType,
  type Role,
  type Rule,
} from './policy.ts';
import type { GivenEntity } from './put-entities.ts';
import type { Route } from './routes/route.ts';
import { shapeRoute } from './routes/route-schema.ts';
import {
  policySchema,
  shapeCase,
  shapeCedarPart,
  shapeResourceType,
  shapeRole,
  shapeRule,
} from './rule-schema.ts';
import { type Shaped, shape } from './shape.ts';

/** A policy as it is written; collections that are empty may be left out. */
export interface PolicyDocument {
  version: 1;
  resourceTypes: ResourceType[];
  roles: Role[];
  rules: Rule[];
  routes: Route[];
  /** Data, not policy: there where it was asked for. */
  entities: Entity[];
  cases: Case[];
  /** Left out where there is none. */
  cedar?: CedarPart[];
}

const shapers: { [C in Collection]: (input: unknown, base: string) => Shaped<Policy[C][number]> } = {
  resourceTypes: shapeResourceType,
  roles: shapeRole,
  rules: shapeRule,
  routes: shapeRoute,
  cases: shapeCase,
  cedar: shapeCedarPart,
};

/** A document as it was read; `pointers` says where in it each part of the policy is. */
export interface ReadDocument {
  policy: Policy;
  /** What the document brings along. */
  entities: GivenEntity[];
  problems: Problem[];
  pointers: Map<Part, string>;
}

/** The policy in a document, with defaults and ids, and everything that is wrong with its shape; pointers are into it. */
export function readDocument(input: unknown): ReadDocument {
  const outer = isRecord(input) ? Object.fromEntries(Object.entries(input).map(emptied)) : input;
  const { problems } = shape<object>(policySchema, outer, '');
  const read: ReadDocument = { policy: emptyPolicy(), entities: [], problems, pointers: new Map() };
  if (!isRecord(input)) return read;
  for (const collection of collections) {
    const list = input[collection];
    if (Array.isArray(list)) readParts(collection, list, read);
  }
  if (Array.isArray(input['entities'])) readEntities(input['entities'], read);
  return read;
}

/** That a name is there twice is found when they are written, under one form of each id. */
function readEntities(list: unknown[], { entities, problems }: ReadDocument): void {
  for (const [index, input] of list.entries()) {
    const pointer = `/entities/${index}`;
    const shaped = shapeEntity(input, pointer);
    for (const problem of shaped.problems) problems.push(problem);
    entities.push({ entity: shaped.value, pointer });
  }
}

function readParts<C extends Collection>(
  collection: C,
  list: unknown[],
  { policy, problems, pointers }: ReadDocument,
): void {
  const parts: Policy[C][number][] = [];
  const first = new Map<string, string>();
  for (const [index, input] of list.entries()) {
    const pointer = pointerTo(collection, index);
    const shaped = shapers[collection](input, pointer);
    for (const problem of shaped.problems) problems.push(problem);
    if (shaped.problems.length > 0) continue;
    const part = withId(collection, shaped.value);
    const name = nameOf(collection, part);
    const known = first.get(name);
    if (known !== undefined) problems.push(thereTwice(pointer, collection, name, known));
    else first.set(name, pointer);
    parts.push(part);
    pointers.set(part, pointer);
  }
  Object.assign(policy, { [collection]: parts });
}

/** A part of a name that another one has already. */
export function thereTwice(pointer: string, collection: Collection, name: string, first: string): Problem {
  return {
    pointer: `${pointer}/${partNames[collection]}`,
    code: 'duplicate',
    message: `${name} is there twice (first at ${first})`,
  };
}

/** Lists are gone through part by part, so that a long one is not checked twice. */
function emptied([key, value]: [string, unknown]): [string, unknown] {
  const isLong = key === 'entities' || (collections as string[]).includes(key);
  return [key, isLong && Array.isArray(value) ? [] : value];
}

/** What has no id gets one from what it says, so that the same file gives the same policy each time. */
function withId<C extends Collection>(collection: C, part: Policy[C][number]): Policy[C][number] {
  if (nameOf(collection, part) !== '') return part;
  const hash = createHash('sha256').update(partText(part)).digest('hex').slice(0, 8);
  return { id: idOf(collection, part, hash), ...part };
}

function idOf(collection: Collection, part: Part, hash: string): string {
  if (collection === 'rules') return ruleId(part as Rule, hash);
  return collection === 'routes' ? routeId(part as Route, hash) : `${prefixes[collection]}-${hash}`;
}

/** A route with an id: its own, or one that tells what it is about, such as `get-projects-projectid-1a2b3c4d`. */
export function withRouteId(route: Route): Route {
  return withId('routes', route) as Route;
}

function routeId({ methods, host = '', path }: Route, suffix: string): string {
  return slugOf([methods[0], host, path], 'route', suffix);
}

const prefixes: Partial<Record<Collection, string>> = { cases: 'case', cedar: 'cedar' };

/** An id that tells what the rule is about, such as `editor-not-delete-document-1a2b3c`. */
export function ruleId(rule: Rule, suffix: string): string {
  const words = [
    rule.role ?? 'principal',
    rule.inverted ? 'not' : '',
    listOf(rule.action)[0],
    listOf(rule.subject)[0],
  ];
  return slugOf(words, 'rule', suffix);
}

function slugOf(words: readonly (string | undefined)[], otherwise: string, suffix: string): string {
  const slug = words
    .filter(Boolean)
    .join('-')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 80)
    .replace(/-+$/, '');
  return `${slug || otherwise}-${suffix}`;
}

/** The whole policy, every part in the order of its name, with every default. */
export function toDocument(policy: Policy): PolicyDocument {
  return {
    version: 1,
    resourceTypes: sorted('resourceTypes', policy),
    roles: sorted('roles', policy),
    rules: sorted('rules', policy),
    routes: sorted('routes', policy),
    entities: [],
    cases: sorted('cases', policy),
    ...(policy.cedar.length > 0 && { cedar: sorted('cedar', policy) }),
  };
}

/** The same without what goes without saying, keys in the order of the docs: for files that people read. */
export function toTerseDocument(policy: Policy, entities: readonly Entity[] = []): Record<string, unknown> {
  const document: Record<string, unknown> = { version: 1 };
  for (const collection of collections) {
    const parts = sorted(collection, policy).map((part) => terse(collection, part));
    if (parts.length > 0) document[collection] = parts;
  }
  if (entities.length > 0) document['entities'] = entities.map(terseEntity);
  return document;
}

/** An entity without what is empty, as it is written. */
export function terseEntity({ type, id, attributes, roles, parents }: Entity): Record<string, unknown> {
  return {
    type,
    id,
    ...(Object.keys(attributes).length > 0 && { attributes: JSON.parse(sortedText(attributes)) }),
    ...(roles.length > 0 && { roles }),
    ...(parents.length > 0 && { parents }),
  };
}

function sorted<C extends Collection>(collection: C, policy: Policy): Policy[C] {
  const parts: Policy[C][number][] = [...policy[collection]];
  return parts.sort((a, b) => order(nameOf(collection, a), nameOf(collection, b))) as Policy[C];
}

const keys: Record<Collection, readonly string[]> = {
  resourceTypes: [
    'type',
    'description',
    'actions',
    'attributes',
    'source',
    'evaluator',
    'shadow',
    'identity',
  ],
  roles: ['key', 'name', 'description', 'inherits'],
  rules: [
    'id',
    'role',
    'principal',
    'action',
    'subject',
    'fields',
    'conditions',
    'when',
    'inverted',
    'reason',
    'priority',
    'enabled',
    'validFrom',
    'validUntil',
  ],
  routes: [
    'id',
    'host',
    'methods',
    'path',
    'resource',
    'action',
    'resourceId',
    'attributes',
    'public',
    'upstream',
    'headers',
    'rateLimit',
  ],
  cases: [
    'id',
    'name',
    'principal',
    'principals',
    'action',
    'actions',
    'resource',
    'resources',
    'context',
    'at',
    'expect',
    'allow',
    'rule',
    'fields',
  ],
  cedar: ['id', 'policies', 'schema', 'entities'],
};

const defaults: Record<Collection, Record<string, unknown>> = {
  resourceTypes: { description: '', source: null, evaluator: 'casl', actions: [], attributes: {} },
  roles: { description: '', inherits: [] },
  rules: { inverted: false, priority: 0, enabled: true, validFrom: null, validUntil: null },
  routes: {},
  cases: {},
  cedar: {},
};

function terse(collection: Collection, part: Policy[Collection][number]): Record<string, unknown> {
  // As it comes from the database, keys are in another order than as it was written: the text must be the same.
  const all: Record<string, unknown> = JSON.parse(partText(part));
  const isDefault = (key: string, value: unknown) =>
    (key in defaults[collection] && JSON.stringify(value) === JSON.stringify(defaults[collection][key])) ||
    (collection === 'roles' && key === 'name' && value === all['key']);
  return Object.fromEntries(
    keys[collection].flatMap((key) =>
      all[key] === undefined || isDefault(key, all[key]) ? [] : [[key, all[key]]],
    ),
  );
}

/** Where a part is in a document. */
function pointerTo(collection: Collection, index: number): string {
  return `/${collection}/${index}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
