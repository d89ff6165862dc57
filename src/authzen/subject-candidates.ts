/** Who could be found by a search for subjects, by their type. */
import type { AccessRequest } from '../decision/access-request.ts';
import { TRANSLATED } from '../enforcement/sql-filter.ts';
import { ANONYMOUS_TYPE } from '../policy/ability.ts';
import { misfit } from '../policy/attributes.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { isInForce, speaksOf } from '../policy/reach.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Database } from '../storage/postgres.ts';
import { entityHolders, notKept } from './entity-candidates.ts';
import { type CandidateSource, listed, merged, namedOnly } from './scan.ts';
import { accountRows, apiKeyRows } from './table-candidates.ts';

/** Subjects of which type may do what to what. */
export interface SubjectsWanted {
  snapshot: Snapshot;
  type: string;
  action: string;
  resource: AccessRequest['resource'];
}

type Sources = (db: Database, wanted: SubjectsWanted) => Promise<CandidateSource[]> | CandidateSource[];

/** By the type of the subject: where those are kept whom the gateway knows. */
const sourcesByType: ReadonlyMap<string, Sources> = new Map<string, Sources>([
  [ACCOUNT_TYPE, accounts],
  [API_KEY_TYPE, (db, wanted) => [apiKeys(db, wanted)]],
  [ANONYMOUS_TYPE, () => [listed([ANONYMOUS_TYPE])]],
]);

/** Those of the type who are kept here and, kept elsewhere, those whom rules name. Nobody who could be allowed it is left out. */
export function subjectSources({ db }: Pick<Services, 'db'>, wanted: SubjectsWanted): ReturnType<Sources> {
  return (sourcesByType.get(wanted.type) ?? entities)(db, wanted);
}

/** Entities, and those whom rules name and who are none. */
async function entities(db: Database, wanted: SubjectsWanted): Promise<CandidateSource[]> {
  const { type } = wanted;
  return [entityHolders(db, type, holdersOf(wanted)), await notKept(db, type, namesOf(wanted))];
}

/** Accounts, whoever was deactivated left out, and those whom rules name and who have no account. */
async function accounts(db: Database, wanted: SubjectsWanted): Promise<CandidateSource[]> {
  const names = namesOf(wanted);
  const known = await accountsAmong(db, names);
  const holders = holdersOf(wanted);
  const rows = accountRows(db, (active) => {
    active.where({ isActive: true });
    if (!holders) return;
    active.whereRaw(
      `EXISTS (SELECT FROM role_assignments r WHERE r.account_id = accounts.id AND r.role_key = ANY (?::text[])
         AND (r.expires_at IS NULL OR r.expires_at > statement_timestamp()))`,
      [holders.roles],
    );
  });
  const named = listed(holders?.names.filter((name) => known.has(name)) ?? []);
  return [merged(rows, named), namedOnly(names.filter((name) => !known.has(name)))];
}

async function accountsAmong(db: Database, names: readonly string[]): Promise<Set<string>> {
  const ids = names.filter((name) => misfit(name, { type: 'uuid' }) === undefined);
  return new Set(ids.length > 0 ? await db('accounts').whereIn('id', ids).pluck('id') : []);
}

/** Keys that are in force. */
function apiKeys(db: Database, wanted: SubjectsWanted): CandidateSource {
  const holders = holdersOf(wanted);
  const rows = apiKeyRows(db, (inForce) => {
    inForce.whereNull('revokedAt').whereRaw('(expires_at IS NULL OR expires_at > statement_timestamp())');
    if (!holders) return;
    inForce.whereRaw(
      'EXISTS (SELECT FROM api_key_roles r WHERE r.key_id = api_keys.id AND r.role_key = ANY (?::text[]))',
      [holders.roles],
    );
  });
  return merged(rows, listed(holders?.names ?? []));
}

/** Whom a rule names, of the type. */
function namesOf({ snapshot, type }: SubjectsWanted): string[] {
  return [...snapshot.rulesByPrincipal.keys()].flatMap((principal) => nameIn(principal, type) ?? []);
}

/** No type has a colon in it. */
function nameIn(principal: string, type: string): string | undefined {
  const colon = principal.indexOf(':');
  return principal.slice(0, colon) === type ? principal.slice(colon + 1) : undefined;
}

/** Those to whom a rule could allow it: whoever has one of the roles, and these. */
interface Holders {
  roles: string[];
  names: string[];
}

/** Undefined: it could be anybody, since a rule allows it to all, or no rule of ours says who. */
function holdersOf({ snapshot, type, action, resource }: SubjectsWanted): Holders | undefined {
  if (snapshot.types.get(resource.type)?.evaluator !== TRANSLATED) return undefined;
  const nowMs = Date.now();
  const allows = (rule: CompiledRule) =>
    rule.effect === 'allow' && isInForce(rule, nowMs) && speaksOf(rule, action, resource.type);
  const holding = [...snapshot.rulesByRole].flatMap(([role, rules]) => (rules.some(allows) ? [role] : []));
  if (holding.includes('everyone') || holding.includes('authenticated')) return undefined;
  const inheriting = [...snapshot.lineage].filter(([, all]) => holding.some((role) => all.has(role)));
  const names = [...snapshot.rulesByPrincipal].flatMap(([principal, rules]) =>
    rules.some(allows) ? (nameIn(principal, type) ?? []) : [],
  );
  return { roles: inheriting.map(([role]) => role), names };
}
