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
import { type CandidateSource, listed, namedOnly } from './scan.ts';
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
  [ACCOUNT_TYPE, async (db, wanted) => [accounts(db, wanted), await namedWithoutAccount(db, wanted)]],
  [API_KEY_TYPE, (db, wanted) => [apiKeys(db, wanted)]],
  [ANONYMOUS_TYPE, () => [listed([ANONYMOUS_TYPE])]],
]);

/** Those of the type who are kept here and, kept elsewhere, those whom rules name. Nobody who could be allowed it is left out. */
export function subjectSources({ db }: Pick<Services, 'db'>, wanted: SubjectsWanted): ReturnType<Sources> {
  const sources = sourcesByType.get(wanted.type);
  return sources ? sources(db, wanted) : [namedOnly(namesOf(wanted))];
}

/** Whoever was deactivated is no candidate. */
function accounts(db: Database, wanted: SubjectsWanted): CandidateSource {
  const holders = holdersOf(wanted);
  return accountRows(db, (rows) => {
    rows.where({ isActive: true });
    if (!holders) return;
    rows.whereRaw(
      `(accounts.id = ANY (?::uuid[]) OR accounts.id IN (SELECT account_id FROM role_assignments
         WHERE role_key = ANY (?::text[]) AND (expires_at IS NULL OR expires_at > clock_timestamp())))`,
      [holders.ids, holders.roles],
    );
  });
}

/** Keys that are in force. */
function apiKeys(db: Database, wanted: SubjectsWanted): CandidateSource {
  const holders = holdersOf(wanted);
  return apiKeyRows(db, (rows) => {
    rows.whereNull('revokedAt').whereRaw('(expires_at IS NULL OR expires_at > clock_timestamp())');
    if (!holders) return;
    rows.whereRaw(
      `(api_keys.id = ANY (?::uuid[])
         OR api_keys.id IN (SELECT key_id FROM api_key_roles WHERE role_key = ANY (?::text[])))`,
      [holders.ids, holders.roles],
    );
  });
}

/** Those whom rules name and who have no account: these are found by it. */
async function namedWithoutAccount(db: Database, wanted: SubjectsWanted): Promise<CandidateSource> {
  const names = namesOf(wanted);
  const ids = names.filter(isUuid);
  const { rows } =
    ids.length > 0
      ? await db.raw<{ rows: { id: string }[] }>('SELECT id FROM accounts WHERE id = ANY (?::uuid[])', [ids])
      : { rows: [] };
  const known = new Set(rows.map(({ id }) => id));
  return namedOnly(names.filter((name) => !known.has(name)));
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
  ids: string[];
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
  const named = [...snapshot.rulesByPrincipal].flatMap(([principal, rules]) =>
    rules.some(allows) ? (nameIn(principal, type) ?? []) : [],
  );
  return { roles: inheriting.map(([role]) => role), ids: named.filter(isUuid) };
}

function isUuid(id: string): boolean {
  return misfit(id, { type: 'uuid' }) === undefined;
}
