/** Entities written as they are given: all of them or, with everything that is wrong, none. */
import { AppError, type FieldError, type Problem } from '../errors.ts';
import type { Transaction } from '../storage/postgres.ts';
import { canonicalEntity, checkEntity, type Entity, type EntityVocabulary, referenceTo } from './entity.ts';
import { findCycle, missingParents, parenthoods, writeParents } from './entity-parents.ts';
import { diffEntities, type EntityDiff, removeEntities, withOther, writeEntities } from './entity-store.ts';

/** An entity of the right shape, and where it was found. */
export interface GivenEntity {
  entity: Entity;
  /** Of the entity in what was sent. */
  pointer: string;
  /** For people, where a pointer alone says too little: `line 4`, or a place in a file. */
  where?(): string;
}

export interface WriteOptions {
  /** Looks at the difference before anything is written; what it returns looks again once all is. Both throw to refuse. */
  guard?(diff: EntityDiff): Promise<() => Promise<void>>;
  onWritten?(count: number): void;
}

export interface PutOptions extends WriteOptions {
  mode: 'merge' | 'replace';
  vocabulary: EntityVocabulary;
}

/**
 * Writes what differs, in a transaction that holds the policy lock. Throws `invalid_request` with what is wrong and where:
 * a type, attribute, role or parent that is not there, a value that does not fit, a name given twice, a circle of parents;
 * and `entity_in_use` where one that stays has one as parent that goes.
 */
export async function putEntities(
  trx: Transaction,
  given: readonly GivenEntity[],
  { mode, vocabulary, ...options }: PutOptions,
): Promise<EntityDiff> {
  refuse(given.flatMap((one) => placed(checkEntity(one.entity, vocabulary, one.pointer), one)));
  const places = new Map<string, GivenEntity>();
  const wrong: FieldError[] = [];
  const entities = given.map((one) => {
    const entity = canonicalEntity(one.entity, vocabulary.types);
    const name = referenceTo(entity);
    const first = places.get(name);
    if (first) wrong.push(...placed([thereTwice(one, name, first)], one));
    if (entity.parents.includes(name)) wrong.push(circle([name, name], new Map([[name, one]])));
    places.set(name, first ?? one);
    return entity;
  });
  refuse(wrong);
  const diff = await diffEntities(trx, entities, mode);
  await writeEntityDiff(trx, diff, { ...options, places });
  return diff;
}

function thereTwice({ pointer }: GivenEntity, name: string, first: GivenEntity): Problem {
  const where = first.where?.() ?? first.pointer;
  return {
    pointer: `${pointer}/id`,
    code: 'duplicate',
    message: `${name} is there twice (first at ${where})`,
  };
}

/** Writes a difference. Throws as `putEntities`; `places`: where each entity was found, by its reference. */
export async function writeEntityDiff(
  trx: Transaction,
  diff: EntityDiff,
  { guard, onWritten, places = new Map() }: WriteOptions & { places?: ReadonlyMap<string, GivenEntity> },
): Promise<void> {
  const guardAgain = await guard?.(diff);
  await writeEntities(trx, diff, onWritten);
  await removeEntities(trx, diff.removed).catch(explainInUse);
  const moved = withOther('parents', diff);
  const edges = parenthoods(moved);
  const missing = await missingParents(trx, edges);
  if (missing.size > 0) refuse(moved.flatMap((entity) => withoutParents(entity, missing, places)));
  await writeParents(trx, edges);
  const children = moved.filter(({ parents }) => parents.length > 0);
  const cycle = children.length > 0 ? await findCycle(trx, children) : undefined;
  if (cycle) refuse([circle(cycle, places)]);
  await guardAgain?.();
}

function withoutParents(
  entity: Entity,
  missing: ReadonlySet<string>,
  places: ReadonlyMap<string, GivenEntity>,
): FieldError[] {
  const one = places.get(referenceTo(entity));
  return entity.parents
    .filter((parent) => missing.has(parent))
    .flatMap((parent) =>
      placed([{ pointer: `${one?.pointer ?? ''}/parents`, message: `there is no entity ${parent}` }], one),
    );
}

const MOST_SHOWN = 10;

function circle(names: readonly string[], places: ReadonlyMap<string, GivenEntity>): FieldError {
  const one = names.map((name) => places.get(name)).find((found) => found !== undefined);
  const shown =
    names.length > MOST_SHOWN ? [...names.slice(0, MOST_SHOWN - 1), '…', ...names.slice(-1)] : names;
  const message = `nothing lies in itself: ${shown.join(' → ')}`;
  return placed([{ pointer: `${one?.pointer ?? ''}/parents`, message }], one)[0] ?? { pointer: '', message };
}

/** With where it is, for people. */
export function placed(errors: readonly FieldError[], one: GivenEntity | undefined): FieldError[] {
  if (!one?.where || errors.length === 0) return [...errors];
  const where = one.where();
  return errors.map(({ pointer, message }) => ({ pointer, message: `${where}: ${message}` }));
}

const MOST_ERRORS = 50;

/** Throws `invalid_request` where there are errors. */
function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw badEntities(errors);
}

/** 400 `invalid_request` with the first of these errors. */
export function badEntities(errors: readonly FieldError[]): AppError {
  const told = errors.slice(0, MOST_ERRORS);
  const first = told
    .slice(0, 5)
    .map(({ pointer, message }) => `${pointer || '/'} ${message}`)
    .join('; ');
  const message = errors.length > 1 ? `${errors.length} errors, such as ${first}` : first;
  return new AppError('invalid_request', { message, errors: told });
}

const FOREIGN_KEY_VIOLATION = '23503';

function explainInUse(cause: unknown): never {
  const { code, table } = cause as { code?: string; table?: string };
  if (code !== FOREIGN_KEY_VIOLATION || table !== 'entity_parents') throw cause;
  throw new AppError('entity_in_use', {
    message: 'other entities have it as parent; give them another one, or remove them first',
    cause,
  });
}
