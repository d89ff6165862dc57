/** /admin/roles: named bundles of rules. */
import { AppError } from '../errors.ts';
import { RoleRow } from '../policy/models.ts';
import { type Policy, type Role, roleAttributes } from '../policy/policy.ts';
import { roleSchema, shapeRole } from '../policy/rule-schema.ts';
import { endedAssignments } from '../policy/store.ts';
import type { Services } from '../services.ts';
import type { Transaction } from '../storage/postgres.ts';
import { partEndpoints } from './policy-parts.ts';

export function roleEndpoints(services: Services) {
  return partEndpoints<Role, RoleRow>(services, {
    path: 'roles',
    collection: 'roles',
    name: 'key',
    nameOf: ({ key }) => key,
    resource: 'castellan.role',
    schema: roleSchema,
    shape: shapeRole,
    rows: (db) => RoleRow.query(db).where('builtIn', false),
    attributesOf: roleAttributes,
    refuseRemoval,
    inUse: 'role_in_use',
  });
}

async function refuseRemoval(policy: Policy, key: string, trx: Transaction): Promise<void> {
  const rules = policy.rules.filter(({ role }) => role === key).map(({ id }) => id);
  const heirs = policy.roles.filter(({ inherits }) => inherits.includes(key)).map((role) => role.key);
  await endedAssignments(trx, [key]).delete();
  const holders = Number((await trx('role_assignments').where({ role_key: key }).count())[0]?.count ?? 0);
  const keys = Number((await trx('api_key_roles').where({ role_key: key }).count())[0]?.count ?? 0);
  const entities = Number((await trx('entity_roles').where({ role_key: key }).count())[0]?.count ?? 0);
  const uses = [
    rules.length > 0 && `rules ${rules.slice(0, 5).join(', ')}`,
    heirs.length > 0 && `roles ${heirs.join(', ')}`,
    holders > 0 && `${holders} accounts`,
    keys > 0 && `${keys} API keys`,
    entities > 0 && `${entities} entities`,
  ].filter(Boolean);
  if (uses.length > 0) throw new AppError('role_in_use', { message: `used by ${uses.join('; ')}` });
}
