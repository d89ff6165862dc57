/** Whom a rule would concern. */
import type { Rule } from '../policy/policy.ts';
import type { Services } from '../services.ts';

export interface Impact {
  /** The roles that the rule comes with: its own and those that inherit it. */
  roles: string[];
  /** Active accounts that it would be a rule of. */
  accounts: number;
}

export async function impactOf({ db, live }: Services, rule: Rule): Promise<Impact> {
  const { lineage } = live.snapshot;
  const active = db('accounts').where({ is_active: true });
  const count = async (query: typeof active) => Number((await query.count())[0]?.count ?? 0);
  if (rule.principal !== undefined) {
    const accounts = rule.principal.startsWith('user:')
      ? await count(active.whereRaw('id::text = ?', [rule.principal.slice('user:'.length)]))
      : 0;
    return { roles: [], accounts };
  }
  const role = rule.role ?? '';
  if (role === 'everyone' || role === 'authenticated')
    return { roles: [role], accounts: await count(active) };
  const roles = [...lineage].filter(([, inherited]) => inherited.has(role)).map(([key]) => key);
  const holders = db('role_assignments').select('account_id').whereIn('role_key', roles);
  return {
    roles: roles.length > 0 ? roles.sort() : [role],
    accounts: await count(active.whereIn('id', holders)),
  };
}
