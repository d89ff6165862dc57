/** What a change of resource types would do to the entities that are of them. */
import { AppError } from '../errors.ts';
import type { Transaction } from '../storage/postgres.ts';
import { misfit } from './attributes.ts';
import type { PolicyDiff } from './diff.ts';
import type { AttributeSpec, ResourceType } from './policy.ts';

/** Throws `resource_type_in_use` where an entity would not fit the type that it is of any more. */
export async function requireEntitiesFit(
  trx: Transaction,
  { resourceTypes: { changed } }: Pick<PolicyDiff, 'resourceTypes'>,
): Promise<void> {
  for (const { before, after } of changed) {
    const ofTable = before.source !== after.source && after.source !== null;
    const isIdOther = textOf(before.attributes['id']) !== textOf(after.attributes['id']);
    if ((ofTable || isIdOther) && (await holds(trx, before.type, []))) {
      const what = ofTable ? 'it gets a table of its own' : 'its ids become other ones';
      throw inUse(before.type, `of it there are entities, and ${what}`);
    }
    for (const name of touchedAttributes(before, after))
      await requireValuesFit(trx, before, after.attributes[name], name);
  }
}

function touchedAttributes(before: ResourceType, after: ResourceType): string[] {
  return Object.keys(before.attributes).filter(
    (name) => name !== 'id' && textOf(before.attributes[name]) !== textOf(after.attributes[name]),
  );
}

/** Values are kept in the form of their type, so that under another one they would not be the same. */
async function requireValuesFit(
  trx: Transaction,
  before: ResourceType,
  spec: AttributeSpec | undefined,
  name: string,
): Promise<void> {
  const { type } = before;
  const was = before.attributes[name];
  if (!spec || spec.type !== was?.type || spec.items !== was.items) {
    if (await holds(trx, type, [name]))
      throw inUse(
        type,
        `there are entities with the attribute ${name}, which ${spec ? 'becomes another' : 'goes'}`,
      );
    return;
  }
  const { rows }: { rows: { value: unknown }[] } = await trx.raw(
    'SELECT DISTINCT attributes -> ?::text AS value FROM entities WHERE type = ? AND jsonb_exists(attributes, ?)',
    [name, type, name],
  );
  const unfit = rows.find(({ value }) => misfit(value, spec) !== undefined);
  if (unfit)
    throw inUse(type, `there are entities whose ${name} is ${JSON.stringify(unfit.value).slice(0, 100)}`);
}

/** Whether any entity of the type has all these attributes. */
async function holds(trx: Transaction, type: string, names: string[]): Promise<boolean> {
  const { rows } = await trx.raw(
    'SELECT EXISTS (SELECT FROM entities WHERE type = ? AND jsonb_exists_all(attributes, ?::text[])) AS is',
    [type, names],
  );
  return rows[0].is;
}

function inUse(type: string, message: string): AppError {
  return new AppError('resource_type_in_use', {
    message: `${type}: ${message}; change these entities first`,
  });
}

function textOf(spec: AttributeSpec | undefined): string {
  return JSON.stringify([spec?.type, spec?.items, spec?.enum, spec?.nullable]);
}
