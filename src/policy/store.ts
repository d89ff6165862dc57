/** The policy's rows: read whole, and a difference written back. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { partText } from './compile.ts';
import type { PartDiff, PolicyDiff } from './diff.ts';
import {
  bodyColumns,
  CaseRow,
  CedarPartRow,
  ResourceTypeRow,
  RevisionRow,
  RoleParentRow,
  RoleRow,
  RouteRow,
  RuleRow,
  resourceTypeColumns,
  routeColumns,
  ruleColumns,
  toResourceType,
  toRole,
  toRoute,
  toRule,
} from './models.ts';
import {
  type Case,
  type CedarPart,
  type Collection,
  collections,
  emptyPolicy,
  nameOf,
  type Part,
  type Policy,
} from './policy.ts';

export interface StoredPolicy {
  revision: number;
  policy: Policy;
}

/** The revision in force and its policy; parts equal to those of `known` are the same objects, so compiling is cheap. */
export async function loadPolicy(db: Database | Transaction, known?: Policy): Promise<StoredPolicy> {
  return inSnapshot(db, async (trx) => {
    const [revision, types, roles, parents, rules, routes, cases, cedar] = [
      await currentRevision(trx),
      await ResourceTypeRow.query(trx).orderBy('type'),
      await RoleRow.query(trx).where('builtIn', false).orderBy('key'),
      await RoleParentRow.query(trx).orderBy(['roleKey', 'position', 'parentKey']),
      await RuleRow.query(trx).orderBy('id'),
      await RouteRow.query(trx).orderBy('id'),
      await CaseRow.query(trx).orderBy('id'),
      await CedarPartRow.query(trx).orderBy('id'),
    ];
    const inherits = groupByRole(parents);
    const loaded: Policy = {
      resourceTypes: types.map(toResourceType),
      roles: roles.map((row) =>
        toRole(
          row,
          (inherits.get(row.key) ?? []).map((parent) => parent.parentKey),
        ),
      ),
      rules: rules.map(toRule),
      routes: routes.map(toRoute),
      cases: cases.map(({ body }) => body),
      cedar: cedar.map(({ body }) => body),
    };
    return { revision, policy: known ? reuse(loaded, known) : loaded };
  });
}

/** The number of the revision in force; 0 before the first. */
export async function currentRevision(db: Database | Transaction): Promise<number> {
  const row = await RevisionRow.query(db).max('number as number').first();
  return row?.number ?? 0;
}

/** One consistent view of all tables; inside a transaction, that transaction's. */
async function inSnapshot<T>(db: Database | Transaction, read: (trx: Transaction) => Promise<T>): Promise<T> {
  if (db.isTransaction) return read(db as Transaction);
  return (db as Database).transaction(read, { isolationLevel: 'repeatable read', readOnly: true });
}

function groupByRole(parents: RoleParentRow[]): Map<string, RoleParentRow[]> {
  const groups = new Map<string, RoleParentRow[]>();
  for (const row of parents) groups.set(row.roleKey, [...(groups.get(row.roleKey) ?? []), row]);
  return groups;
}

/** Keeps the objects of `known` where nothing changed, and its lists where nothing in them did. */
function reuse(loaded: Policy, known: Policy): Policy {
  const reused = emptyPolicy();
  for (const collection of collections)
    Object.assign(reused, {
      [collection]: reuseList<Part>(collection, loaded[collection], known[collection]),
    });
  return reused;
}

function reuseList<T extends Part>(collection: Collection, loaded: T[], known: T[]): T[] {
  const byName = new Map(known.map((part) => [nameOf(collection, part), part]));
  const list = loaded.map((part) => {
    const before = byName.get(nameOf(collection, part));
    return before && partText(before) === partText(part) ? before : part;
  });
  return list.length === known.length && list.every((part, index) => part === known[index]) ? known : list;
}

const BATCH = 5000;

/** Writes a difference: what is referred to first, what refers to it after; removals the other way round. */
export async function writeDiff(trx: Transaction, diff: PolicyDiff): Promise<void> {
  await upsert(
    trx,
    'resource_types',
    'type',
    [...diff.resourceTypes.added, ...after(diff.resourceTypes)].map(resourceTypeColumns),
  );
  const roles = [...diff.roles.added, ...after(diff.roles)];
  await upsert(
    trx,
    'roles',
    'key',
    roles.map(({ key, name, description }) => ({ key, name, description })),
  );
  await upsert(trx, 'rules', 'id', [...diff.rules.added, ...after(diff.rules)].map(ruleColumns));
  await remove(
    trx,
    'rules',
    'id',
    diff.rules.removed.map(({ id }) => id),
  );
  await upsert(trx, 'routes', 'id', [...diff.routes.added, ...after(diff.routes)].map(routeColumns));
  await remove(
    trx,
    'routes',
    'id',
    diff.routes.removed.map(({ id }) => id),
  );
  await remove(
    trx,
    'role_parents',
    'role_key',
    [...roles, ...diff.roles.removed].map(({ key }) => key),
  );
  const parents = roles.flatMap((role) =>
    role.inherits.map((parent, position) => ({ role_key: role.key, parent_key: parent, position })),
  );
  if (parents.length > 0) await trx.batchInsert('role_parents', parents, BATCH);
  const gone = diff.roles.removed.map(({ key }) => key);
  if (gone.length > 0) await endedAssignments(trx, gone).delete();
  await remove(trx, 'roles', 'key', gone);
  await remove(
    trx,
    'resource_types',
    'type',
    diff.resourceTypes.removed.map(({ type }) => type),
  );
  await writeBodies(trx, 'cases', diff.cases);
  await writeBodies(trx, 'cedar_parts', diff.cedar);
}

/** Parts that are kept as they are, and that nothing refers to. */
async function writeBodies<T extends Case | CedarPart>(
  trx: Transaction,
  table: 'cases' | 'cedar_parts',
  diff: PartDiff<T>,
): Promise<void> {
  await upsert(trx, table, 'id', [...diff.added, ...after(diff)].map(bodyColumns));
  await remove(
    trx,
    table,
    'id',
    diff.removed.map(({ id }) => id),
  );
}

/** Assignments of roles that have ended: they bind nobody, and must not keep a role. */
export function endedAssignments(trx: Transaction, roles: readonly string[]) {
  return trx('role_assignments').whereIn('role_key', roles).whereRaw('expires_at <= clock_timestamp()');
}

function after<T>(diff: PartDiff<T>): T[] {
  return diff.changed.map((change) => change.after);
}

/** The columns that are written, with their types: one text of JSON carries a batch, which is much less to send and to bind. */
const columns = {
  resource_types:
    'type text, description text, actions jsonb, attributes jsonb, source text, evaluator text, shadow text, identity jsonb',
  roles: 'key text, name text, description text',
  rules: `id text, role_key text, principal text, action jsonb, subject jsonb, fields jsonb, conditions jsonb,
    "when" jsonb, inverted boolean, reason text, priority integer, enabled boolean, valid_from timestamptz,
    valid_until timestamptz`,
  routes: `id text, host text, methods jsonb, path text, resource text, action text, resource_id text, attributes jsonb,
    upstream jsonb, headers jsonb, rate_limit jsonb, public boolean`,
  cases: 'id text, body jsonb',
  cedar_parts: 'id text, body jsonb',
} as const;

async function upsert(
  trx: Transaction,
  table: keyof typeof columns,
  key: string,
  rows: Record<string, unknown>[],
): Promise<void> {
  const names = Object.keys(rows[0] ?? {});
  const list = names.map((name) => `"${name}"`).join(', ');
  const updates = names.filter((name) => name !== key).map((name) => `"${name}" = excluded."${name}"`);
  for (let i = 0; i < rows.length; i += BATCH)
    await trx.raw(
      `INSERT INTO ${table} (${list}) SELECT ${list} FROM jsonb_to_recordset(?::jsonb) AS given (${columns[table]})
       ON CONFLICT (${key}) DO UPDATE
       SET ${updates.join(', ')}, version = ${table}.version + 1, updated_at = now()`,
      [JSON.stringify(rows.slice(i, i + BATCH))],
    );
}

async function remove(trx: Transaction, table: string, key: string, names: string[]): Promise<void> {
  for (let i = 0; i < names.length; i += BATCH)
    await trx(table)
      .whereIn(key, names.slice(i, i + BATCH))
      .delete();
}
