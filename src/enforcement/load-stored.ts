/** What the gateway itself knows of principals and resources that a question only names. */
import {
  ENTITY_RESOURCE,
  entityAttributes,
  entityOfResource,
  type FindEntity,
  type KnownEntity,
} from '../decision/entities.ts';
import {
  type AccountFacts,
  accountAttributes,
  apiKeyAttributes,
  findAccountFacts,
  findApiKeyFacts,
  type StoredApiKey,
} from '../decision/principals.ts';
import { after } from '../http/after.ts';
import { misfit } from '../policy/attributes.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import { isEntityType } from '../policy/entity.ts';
import { listOf, roleAttributes, typeAttributes } from '../policy/policy.ts';
import { routeAttributes } from '../policy/routes/route.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { loadSomeFromSource } from './source.ts';

/** A resource by its name. */
export interface Named {
  type: string;
  id: string;
}

export interface Stored {
  /** The account of this id. */
  account(id: string): AccountFacts | undefined;
  /** The API key of this id, in force or not. */
  apiKey(id: string): StoredApiKey | undefined;
  /** The entity of this name, with what it has from above. */
  entity(named: Named): KnownEntity | undefined;
  /** The attributes of an account, an API key, a part of the policy, an entity, or a row of a registered table; `null` is left out. */
  resource(named: Named): Record<string, unknown> | undefined;
}

type Attributes = Record<string, unknown>;

/** What is asked for, accounts and API keys by their ids. */
interface Wanted {
  accounts?: readonly string[];
  apiKeys?: readonly string[];
  /** Principals that may be entities. */
  principals?: readonly Named[];
  resources?: readonly Named[];
}

const API_KEY_RESOURCE = 'castellan.api-key';

/** Where it is read: entities may be remembered from before, all else is read anew. */
export interface StoredIn extends Pick<Services, 'db' | 'sources'> {
  entities: { find(snapshot: Snapshot, names: readonly Named[]): FindEntity | Promise<FindEntity> };
}

/**
 * Reads all that is stored of these: one query for the accounts, one for the API keys, one for entities and one for each
 * table, however many; at once where nothing has to be read.
 */
export function loadStored(
  { db, sources, entities }: StoredIn,
  snapshot: Snapshot,
  { accounts = [], apiKeys = [], principals = [], resources = [] }: Wanted,
): Stored | Promise<Stored> {
  const names = entityNames([...principals, ...resources], snapshot, sources);
  const own = loadOwn({ db, sources }, snapshot, { accounts, apiKeys, resources });
  const found = entities.find(snapshot, names);
  const together = (ofOwn: Own, entity: FindEntity) => storedOf(ofOwn, entity, snapshot, sources);
  if (!(own instanceof Promise)) return after(found, (entity) => together(own, entity));
  return Promise.all([own, found]).then(([ofOwn, entity]) => together(ofOwn, entity));
}

type Own = Omit<Stored, 'entity'>;

function storedOf(own: Own, entity: FindEntity, snapshot: Snapshot, sources: Services['sources']): Stored {
  const entityIn = (named: Named) =>
    isEntityType(named.type, { types: snapshot.types, isInTable: (type) => sources.has(type) })
      ? entity(named)
      : undefined;
  const administered = ({ type, id }: Named) => {
    const name = type === ENTITY_RESOURCE ? entityOfResource(id) : undefined;
    const found = name && entity(name);
    return found && entityAttributes(found.own);
  };
  const { account, apiKey } = own;
  return {
    account,
    apiKey,
    entity: entityIn,
    resource: (named) => {
      const found = entityIn(named)?.own.attributes ?? administered(named);
      return found ? withoutNulls(found) : own.resource(named);
    },
  };
}

/** Those of the names that may be of entities, or of entities as they are administered. */
function entityNames(named: readonly Named[], { types }: Snapshot, sources: Services['sources']): Named[] {
  const kinds = new Map<string, boolean>();
  const isInTable = (type: string) => sources.has(type);
  return named.flatMap(({ type, id }) => {
    if (type === ENTITY_RESOURCE) return entityOfResource(id) ?? [];
    const isOne = kinds.get(type) ?? isEntityType(type, { types, isInTable });
    kinds.set(type, isOne);
    return isOne ? [{ type, id }] : [];
  });
}

/** What is stored elsewhere than among entities. */
function loadOwn(
  { db, sources }: Pick<Services, 'db' | 'sources'>,
  snapshot: Snapshot,
  { accounts = [], apiKeys = [], resources = [] }: Wanted,
): Own | Promise<Own> {
  const idsByType = new Map<string, Set<string>>();
  const want = (type: string, id: string) =>
    void idsByType.set(type, (idsByType.get(type) ?? new Set()).add(id));
  for (const id of accounts) want(ACCOUNT_TYPE, id);
  for (const id of apiKeys) want(API_KEY_RESOURCE, id);
  for (const { type, id } of resources) if (isRow(type, sources)) want(type, id);
  const byType = new Map<string, (id: string) => Attributes | undefined>();
  let accountOf: Stored['account'] = () => undefined;
  let apiKeyOf: Stored['apiKey'] = () => undefined;
  const reads: (() => Promise<void>)[] = [];
  for (const [name, ids] of idsByType) {
    const type = snapshot.types.get(name);
    const source = sources.get(name);
    if (type && source)
      reads.push(async () => void byType.set(name, await loadSomeFromSource(db, source, type, [...ids])));
    else if (name === ACCOUNT_TYPE || name === API_KEY_RESOURCE) {
      const wanted = [...ids].filter((id) => misfit(id, { type: 'uuid' }) === undefined);
      if (wanted.length === 0) continue;
      reads.push(async () => {
        if (name === ACCOUNT_TYPE) accountOf = byId(await findAccountFacts(db, wanted));
        else apiKeyOf = byId(await findApiKeyFacts(db, wanted));
      });
    }
  }
  const own: Own = {
    account: (id) => accountOf(id),
    apiKey: (id) => apiKeyOf(id),
    resource: ({ type, id }) => {
      const facts = type === ACCOUNT_TYPE ? accountOf(id) : undefined;
      const key = type === API_KEY_RESOURCE ? apiKeyOf(id) : undefined;
      const found =
        (facts && accountAttributes(facts)) ??
        (key && apiKeyAttributes(key)) ??
        (isRow(type, sources) ? byType.get(type)?.(id) : policyPart(snapshot, type, id));
      return found && withoutNulls(found);
    },
  };
  return reads.length === 0 ? own : oneByOne(reads).then(() => own);
}

function isRow(type: string, sources: Services['sources']): boolean {
  return type === ACCOUNT_TYPE || type === API_KEY_RESOURCE || sources.has(type);
}

/** A question takes one connection at a time. */
async function oneByOne(reads: readonly (() => Promise<void>)[]): Promise<void> {
  for (const read of reads) await read();
}

/** Whether all there are of a type are known here: one that is not stored does not exist. */
export function isStoredType({ sources }: Pick<Services, 'sources'>, type: string): boolean {
  return type === ACCOUNT_TYPE || ownTypes.has(type) || sources.has(type);
}

const ownTypes = new Set([
  API_KEY_RESOURCE,
  ENTITY_RESOURCE,
  'castellan.rule',
  'castellan.role',
  'castellan.resource-type',
  'castellan.route',
]);

function byId<Facts extends { id: string }>(facts: readonly Facts[]): (id: string) => Facts | undefined {
  const found = new Map(facts.map((one) => [one.id, one]));
  return (id) => found.get(id.toLowerCase());
}

function policyPart(snapshot: Snapshot, name: string, id: string): Attributes | undefined {
  const rule = snapshot.rules.get(id)?.source;
  if (name === 'castellan.rule')
    return rule && { ...rule, action: listOf(rule.action), subject: listOf(rule.subject) };
  const role = snapshot.roles.get(id);
  if (name === 'castellan.role') return role && { ...roleAttributes(role) };
  if (name === 'castellan.route') {
    const route = snapshot.policy.routes.find((one) => one.id === id);
    return route && { ...routeAttributes(route) };
  }
  const type = snapshot.types.get(id);
  return name === 'castellan.resource-type' && type ? { ...typeAttributes(type) } : undefined;
}

function withoutNulls(found: Attributes): Attributes {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== null));
}
