/** Whom a rule would concern, and what it would change for them. */
import type { GuardedCall } from '../enforcement/access.ts';
import { mergeAll } from '../policy/files.ts';
import { emptyPolicy, type Rule } from '../policy/policy.ts';
import type { Services } from '../services.ts';
import { presentSimulation, readableBy } from './reach.ts';
import { compileDraft, simulate } from './simulate.ts';

/** Active accounts and roles that it would be a rule of, and what a simulation of it shows. */
export async function impactOf(services: Services, call: GuardedCall, rule: Rule) {
  const { db, live, sources, decisionsAt } = services;
  const before = live.snapshot;
  const draft = { ...emptyPolicy(), rules: [rule] };
  const after = compileDraft(live, before, mergeAll([before.policy, draft]), draft);
  const mayRead = readableBy(services, call);
  const simulation = await simulate({ db, sources, before, after, decisions: 0, decisionsAt, mayRead });
  const { principals, anonymous, cases, roles: byRole } = await presentSimulation(services, call, simulation);
  const { affected } = simulation.accounts;
  // Whom a rule would concern is told of those alone who may be read: otherwise it would tell who is there.
  const isTold = simulation.accounts.withheld === 0;
  const { roles, accounts } = await holdersOfRule(services, rule);
  return { roles, accounts: isTold ? accounts : affected, affected, principals, anonymous, byRole, cases };
}

/** The roles that the rule comes with (its own and those that inherit it), and how many active accounts have one. */
async function holdersOfRule(
  { db, live }: Services,
  rule: Rule,
): Promise<{ roles: string[]; accounts: number }> {
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
  const holders = db('role_assignments')
    .select('account_id')
    .whereIn('role_key', roles)
    .whereRaw('(expires_at IS NULL OR expires_at > now())');
  return {
    roles: roles.length > 0 ? roles.sort() : [role],
    accounts: await count(active.whereIn('id', holders)),
  };
}
