/** Entities: principals and resources of other systems, as they are written, and what is wrong with one. */
import Joi from 'joi';
import type { Problem } from '../errors.ts';
import { canonical, canonicalId, misfit } from './attributes.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from './built-in.ts';
import { escapePointer } from './parse-condition.ts';
import type { ResourceType } from './policy.ts';
import { type Shaped, shape } from './shape.ts';
import { unknownName } from './suggest.ts';

/** A principal or resource whose attributes Castellan keeps for others. Data, not policy: it is in no revision. */
export interface Entity {
  type: string;
  id: string;
  attributes: Record<string, unknown>;
  /** Of the entity as principal. */
  roles: string[];
  /** What it lies in or belongs to, each as `<type>:<id>`. */
  parents: string[];
}

/** An entity by its name. */
export type EntityName = Pick<Entity, 'type' | 'id'>;

const MOST_ROLES = 50;
const MOST_PARENTS = 100;
const LONGEST_ID = 200;

// No control characters: ids are shown in terminals and logs.
const printable = /^\P{C}{1,200}$/u;
/** An id, also as part of a path. */
export const entityId = Joi.string().max(LONGEST_ID).pattern(printable, 'printable');
const reference = Joi.string().pattern(/^[a-z][a-z0-9.-]{0,62}:\P{C}{1,200}$/u, '<type>:<id>');

const parts = {
  attributes: Joi.object().unknown(true).default({}).description('as its resource type declares them'),
  roles: Joi.array()
    .items(Joi.string())
    .unique()
    .max(MOST_ROLES)
    .default([])
    .description('what it may as principal, beside what its parents give'),
  parents: Joi.array()
    .items(reference)
    .unique()
    .max(MOST_PARENTS)
    .default([])
    .description('what it lies in or belongs to, each as <type>:<id>'),
};

/** Beside its name. */
export const entityPartsSchema = Joi.object(parts);

export const entitySchema = Joi.object({
  type: Joi.string().required().description('a resource type'),
  id: entityId.required().description('of its own system'),
  ...parts,
});

/** An entity with its defaults, or what is wrong with its shape. */
export function shapeEntity(input: unknown, base = ''): Shaped<Entity> {
  const plain = readPlainEntity(input);
  return plain ? { value: plain, problems: [] } : shape(entitySchema, input, base);
}

/** Most of a hundred thousand are of a plain shape, and joi takes seconds for them; what is not is left to it. */
function readPlainEntity(input: unknown): Entity | undefined {
  if (!isObject(input)) return undefined;
  const { type, id, attributes = {}, roles = [], parents = [], ...rest } = input;
  if (Object.keys(rest).length > 0 || typeof type !== 'string' || type === '') return undefined;
  if (typeof id !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(id) || !isObject(attributes)) return undefined;
  if (!isEmpty(roles) || !(isEmpty(parents) || isOnePlainReference(parents))) return undefined;
  return { type, id, attributes, roles: [], parents };
}

function isEmpty(list: unknown): list is never[] {
  return Array.isArray(list) && list.length === 0;
}

function isOnePlainReference(list: unknown): list is string[] {
  return (
    Array.isArray(list) &&
    list.length === 1 &&
    typeof list[0] === 'string' &&
    /^[a-z][a-z0-9.-]{0,62}:[\x21-\x7e]{1,200}$/.test(list[0])
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `<type>:<id>`, by which entities are named as parents. */
export function referenceTo({ type, id }: EntityName): string {
  return `${type}:${id}`;
}

/** The name in a reference: no type has a colon, an id may. */
export function entityNamed(reference: string): EntityName {
  const colon = reference.indexOf(':');
  return { type: reference.slice(0, colon), id: reference.slice(colon + 1) };
}

/** What an entity may refer to. */
export interface EntityVocabulary {
  types: ReadonlyMap<string, ResourceType>;
  roles: ReadonlyMap<string, unknown>;
  /** Whether the rows of a type are in a table that the code registered. */
  isInTable(type: string): boolean;
}

/** Whether entities can be of the type: it is registered, and what is of it is kept nowhere here. */
export function isEntityType(name: string, { types, isInTable }: Omit<EntityVocabulary, 'roles'>): boolean {
  return typeProblem(types.get(name), name, isInTable) === undefined;
}

function typeProblem(
  type: ResourceType | undefined,
  name: string,
  isInTable: EntityVocabulary['isInTable'],
): string | undefined {
  if (name === ACCOUNT_TYPE || name === API_KEY_TYPE || name === 'anonymous' || name.startsWith('castellan.'))
    return `${name} is kept by the gateway itself, not as entities`;
  if (isInTable(name) || (type && type.source !== null)) return `${name} has a table of its own`;
  return type ? undefined : `${name} is not a resource type`;
}

/** Everything that is wrong with an entity of the right shape; its parents are looked for when it is written. */
export function checkEntity(entity: Entity, vocabulary: EntityVocabulary, base = ''): Problem[] {
  const { types, roles, isInTable } = vocabulary;
  const type = types.get(entity.type);
  const wrong = typeProblem(type, entity.type, isInTable);
  if (!type && wrong?.endsWith('is not a resource type'))
    return [unknownName(`${base}/type`, 'type', entity.type, entityTypes(vocabulary))];
  if (!type || wrong !== undefined)
    return [{ pointer: `${base}/type`, code: 'reserved', message: wrong ?? 'is not known' }];
  const idSpec = type.attributes['id'] ?? { type: 'string' };
  const unfitId = misfit(entity.id, idSpec);
  return [
    ...(unfitId === undefined ? [] : [{ pointer: `${base}/id`, code: 'value', message: unfitId }]),
    ...checkAttributes(entity.attributes, type, `${base}/attributes`),
    ...entity.roles.flatMap((role, index) =>
      roles.has(role) ? [] : [unknownName(`${base}/roles/${index}`, 'role', role, roles.keys())],
    ),
  ];
}

function entityTypes({ types, isInTable }: EntityVocabulary): string[] {
  return [...types.keys()].filter((name) => isEntityType(name, { types, isInTable }));
}

function checkAttributes(given: Record<string, unknown>, type: ResourceType, base: string): Problem[] {
  return Object.entries(given).flatMap(([name, value]): Problem[] => {
    const pointer = `${base}/${escapePointer(name)}`;
    if (name === 'id') return [{ pointer, code: 'reserved', message: 'is the id of the entity itself' }];
    const spec = Object.hasOwn(type.attributes, name) ? type.attributes[name] : undefined;
    if (!spec)
      return [unknownName(pointer, 'attribute', name, Object.keys(type.attributes), ` of ${type.type}`)];
    const message = misfit(value, spec);
    return message === undefined ? [] : [{ pointer, code: 'value', message }];
  });
}

/** The one form in which an entity is kept: values as rules compare them, roles and parents each once and in order. */
export function canonicalEntity(entity: Entity, types: EntityVocabulary['types']): Entity {
  const type = types.get(entity.type);
  const attributes = Object.entries(entity.attributes).map(([name, value]) => {
    const spec = type?.attributes[name];
    return [name, value === null ? null : canonical(value, spec?.type, spec?.items)];
  });
  const parents = entity.parents.map((parent) => referenceTo(canonicalName(entityNamed(parent), types)));
  return {
    ...canonicalName(entity, types),
    attributes: Object.fromEntries(attributes),
    roles: [...new Set(entity.roles)].sort(),
    parents: [...new Set(parents)].sort(),
  };
}

/** The name in one form: a UUID is the same entity in capitals. */
export function canonicalName({ type, id }: EntityName, types: EntityVocabulary['types']): EntityName {
  return { type, id: canonicalId(id, types.get(type)) };
}
