/** One scene of a list: a resource type, rows, rules, somebody who asks. The list and the decisions are held against each other. */
import { createMongoAbility, subject } from '@casl/ability';
import type { Knex } from 'knex';
import { principalOf, resourceOf } from '../../../src/decision/access-request.ts';
import { decisionPoint } from '../../../src/decision/decide.ts';
import { type Source, toAttributes } from '../../../src/enforcement/source.ts';
import type { ColumnType } from '../../../src/enforcement/sql/column.ts';
import { narrow } from '../../../src/enforcement/sql-filter.ts';
import { caslEvaluator } from '../../../src/evaluators/casl.ts';
import { toPlainAbility } from '../../../src/evaluators/casl-rules.ts';
import { type Ability, makeAbility } from '../../../src/policy/ability.ts';
import { builtInTypes } from '../../../src/policy/built-in.ts';
import { compile } from '../../../src/policy/compile.ts';
import type { AttributeSpec, ResourceType, Rule } from '../../../src/policy/policy.ts';

/** A value as PostgreSQL reads it. */
export type Written = string | null;

export interface Scene {
  attributes: Record<string, AttributeSpec>;
  rules: Partial<Rule>[];
  principal: Record<string, unknown>;
}

/** Where each attribute is: a column of the table that all scenes share. */
export const columns: Record<string, ColumnType> = {
  id: 'uuid',
  name: 'text',
  other: 'text',
  ref: 'uuid',
  flag: 'boolean',
  whole: 'integer',
  amount: 'numeric(12,3)',
  exact: 'numeric',
  double: 'double',
  at: 'timestamptz',
  names: 'text[]',
  refs: 'uuid[]',
  flags: 'boolean[]',
  wholes: 'integer[]',
  exacts: 'numeric[]',
  doubles: 'double[]',
  instants: 'timestamptz[]',
  list: 'jsonb',
  data: 'jsonb',
};

export const source: Source = {
  table: 'things',
  columns: Object.fromEntries(
    Object.entries(columns).map(([column, type]) => [column, { column: `its_${column}`, type }]),
  ),
};

/** What PostgreSQL calls the type. */
function declared(type: ColumnType): string {
  return type.replace('integer', 'bigint').replace('double', 'double precision');
}

export async function makeThings(db: Knex): Promise<void> {
  // In an order in which "a" comes before "B": tests must say for themselves by what they order.
  const collated = (name: string) => (name === 'name' ? ' COLLATE "en-x-icu"' : '');
  const list = Object.entries(columns).map(
    ([name, type]) => `its_${name} ${declared(type)}${collated(name)}`,
  );
  await db.raw(`CREATE TABLE things (${list.join(', ')})`);
}

/** Replaces what is in the table. */
export async function putThings(db: Knex, rows: Record<string, Written>[]): Promise<void> {
  await db.raw('TRUNCATE things');
  if (rows.length === 0) return;
  const names = Object.keys(columns);
  const values = rows.map(
    () => `(${names.map((name) => `?::${declared(columns[name] ?? 'text')}`).join(', ')})`,
  );
  await db.raw(
    `INSERT INTO things (${names.map((name) => `its_${name}`).join(', ')}) VALUES ${values.join(', ')}`,
    rows.flatMap((row) => names.map((name) => row[name] ?? null)),
  );
}

const context = { __proto__: null, ip: '10.1.2.3', time: '2026-03-01T00:00:00.000Z' };
const NOW_MS = Date.parse('2026-03-01T00:00:00.000Z');
const fields = ['name', 'data.a'];

/** Every row on which the list and the decision differ, in words. */
export async function disagreements(db: Knex, scene: Scene): Promise<string[]> {
  const { ability, type, types, decide } = prepare(scene);
  const select = (field?: string) =>
    narrow(db('things').select({ id: 'its_id' }), {
      ability,
      action: 'read',
      type,
      source,
      context,
      ...(field !== undefined && { field }),
    });
  const named = Object.keys(type.attributes);
  const stored: Record<string, unknown>[] = await db('things').select(
    Object.fromEntries(['id', ...named].map((name) => [name, `its_${name}`])),
  );
  const listed = new Set((await select()).map(({ id }: { id: string }) => id));
  const byField = new Map<string, Set<string>>();
  for (const field of fields.filter((name) => Object.hasOwn(type.attributes, name.split('.')[0] ?? '')))
    byField.set(field, new Set((await select(field)).map(({ id }: { id: string }) => id)));
  const plain = toPlainAbility(ability, types);
  const casl = plain.serverOnly.length === 0 ? createMongoAbility(plain.rules) : undefined;
  const found: string[] = [];
  for (const row of stored) {
    const attributes = toAttributes(row, source);
    const { allow, readable, isDoubtful, clean } = await decide(attributes, [...byField.keys()]);
    const id = String(row['id']);
    if (allow !== listed.has(id)) found.push(`${id}: decision ${allow}, list ${listed.has(id)}`);
    for (const [field, ids] of byField)
      if (readable.has(field) !== ids.has(id))
        found.push(`${id}: ${field} readable ${readable.has(field)}, list ${ids.has(id)}`);
    const text = JSON.stringify(clean);
    // CASL throws where it looks below an element that is null; JSON makes null of infinity, too.
    if (!casl || isDoubtful || text.includes('null')) continue;
    const byCasl = casl.can('read', subject('thing', JSON.parse(text)) as never);
    if (byCasl !== allow) found.push(`${id}: decision ${allow}, plain CASL ${byCasl}`);
  }
  return found;
}

function prepare(scene: Scene) {
  const type: ResourceType = {
    type: 'thing',
    description: '',
    actions: ['read', 'update'],
    attributes: scene.attributes,
    source: 'things',
    evaluator: 'casl',
  };
  const account = builtInTypes.find((known) => known.type === 'user');
  const user: ResourceType = {
    ...(account as ResourceType),
    attributes: { ...account?.attributes, ...principalAttributes },
  };
  const rules = scene.rules.map((rule, index) => ({ ...ruleDefaults, id: `r${index}`, ...rule }) as Rule);
  const others = builtInTypes.filter((known) => known.type !== 'user');
  const { snapshot, problems } = compile(
    { resourceTypes: [...others, user, type], roles: [], rules, cases: [], routes: [], cedar: [] },
    { revision: 1, evaluators: ['casl'] },
  );
  if (!snapshot) throw new Error(JSON.stringify({ problems, scene }, null, 1));
  const principal = principalOf(
    {
      type: 'user',
      id: PRINCIPAL,
      roles: [],
      attributes: { ...scene.principal, id: PRINCIPAL },
      accessVersion: 1,
    },
    user,
  );
  const ability: Ability = makeAbility(snapshot, principal, NOW_MS);
  const decisions = decisionPoint({
    evaluators: new Map([['casl', caslEvaluator({ abilityOf: () => ability })]]),
    record: () => undefined,
  });
  const decide = async (attributes: object, asked: string[]) => {
    const resource = resourceOf(type, attributes);
    const request = { principal, action: { name: 'read' }, resource, context };
    const { allow } = await decisions.decide(snapshot, request);
    const readable = await decisions.permittedFields(snapshot, request, asked);
    return { allow, readable, isDoubtful: resource.misfits.length > 0, clean: resource.attributes };
  };
  return { ability, type, types: snapshot.types, decide };
}

export const PRINCIPAL = '11111111-1111-4111-8111-111111111111';

/** What templates can stand for. */
export const principalAttributes: Record<string, AttributeSpec> = {
  id: { type: 'uuid' },
  word: { type: 'string' },
  limit: { type: 'number' },
  since: { type: 'date' },
  words: { type: 'array', items: 'string' },
  numbers: { type: 'array', items: 'number' },
  ids: { type: 'array', items: 'uuid' },
  more: { type: 'object' },
};

const ruleDefaults = {
  role: 'everyone',
  action: 'read',
  subject: 'thing',
  inverted: false,
  priority: 0,
  enabled: true,
  validFrom: null,
  validUntil: null,
};
