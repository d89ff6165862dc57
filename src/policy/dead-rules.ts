/** Rules that decide nothing: over, switched off, held by nobody, outranked by another, or on conditions that nothing meets. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ACCOUNT_TYPE, API_KEY_TYPE } from './built-in.ts';
import { type Condition, templatesOf } from './condition.ts';
import { implies } from './containment.ts';
import { ANY_ACTION, ANY_TYPE, builtInRoles } from './policy.ts';
import type { CompiledRule, Snapshot } from './snapshot.ts';

export type DeadBecause = 'disabled' | 'expired' | 'held_by_nobody' | 'shadowed' | 'never_met';

export interface DeadRule {
  ruleId: string;
  because: DeadBecause;
  /** The rule that is always settled by instead. */
  by?: string;
  message: string;
}

/** Who holds what, as far as accounts go. */
export interface Holders {
  /** Roles that active accounts were given. */
  roles: ReadonlySet<string>;
  /** `user:<id>` and `api-key:<id>` of those active accounts and live keys that rules name. */
  principals: ReadonlySet<string>;
}

/** Every dead rule, in the order of their ids; of several reasons the first. */
export async function deadRules(
  snapshot: Snapshot,
  holders: Holders,
  atMs: number,
): Promise<{ deadRules: DeadRule[]; isComplete: boolean }> {
  const live = indexRules([...snapshot.rules.values()].filter((rule) => !isGone(rule, atMs)));
  const untilMs = performance.now() + LONGEST_MS;
  const found: DeadRule[] = [];
  for (const [index, rule] of [...snapshot.rules.values()].entries()) {
    if (index % PER_TURN === PER_TURN - 1) await nextTurn();
    const dead =
      goneBecause(rule, atMs) ??
      heldByNobody(rule, snapshot, holders) ??
      (isContradiction(rule.condition, singleIn(rule, snapshot))
        ? { because: 'never_met' as const, message: 'its conditions contradict each other' }
        : performance.now() < untilMs
          ? shadow(rule, live, snapshot)
          : undefined);
    if (dead) found.push({ ruleId: rule.id, ...dead });
  }
  return { deadRules: found, isComplete: performance.now() < untilMs };
}

const PER_TURN = 100;
/** So long rules are held against others; beyond it a shadowed one may go unnoticed. */
const LONGEST_MS = 3000;

/** Rules by effect, who holds them, and what they are about. */
type RuleIndex = ReadonlyMap<string, readonly CompiledRule[]>;

function indexRules(rules: readonly CompiledRule[]): RuleIndex {
  const index = new Map<string, CompiledRule[]>();
  for (const rule of rules)
    for (const subject of rule.subjects) {
      const key = keyOf(rule.effect, rule.source.role ?? rule.source.principal ?? '', subject);
      index.set(key, index.get(key) ?? []);
      index.get(key)?.push(rule);
    }
  return index;
}

function keyOf(effect: string, holder: string, subject: string): string {
  return `${effect} ${holder} ${subject}`;
}

/** Those of the other effect that whoever holds the rule holds as well, about its first subject or all. */
function candidates(
  { effect, subjects, source }: CompiledRule,
  index: RuleIndex,
  { lineage }: Snapshot,
): CompiledRule[] {
  const other = effect === 'allow' ? 'deny' : 'allow';
  const held =
    source.role === undefined ? [source.principal ?? ''] : [source.role, ...(lineage.get(source.role) ?? [])];
  const holders = new Set(['everyone', 'authenticated', ...held]);
  return [...holders].flatMap((holder) =>
    [subjects[0] ?? '', ANY_TYPE].flatMap((subject) => index.get(keyOf(other, holder, subject)) ?? []),
  );
}

type Found = Omit<DeadRule, 'ruleId'>;

function isGone(rule: CompiledRule, atMs: number): boolean {
  return goneBecause(rule, atMs) !== undefined;
}

function goneBecause({ source, validUntilMs }: CompiledRule, atMs: number): Found | undefined {
  if (!source.enabled) return { because: 'disabled', message: 'it is switched off' };
  if (validUntilMs <= atMs) return { because: 'expired', message: `it ended at ${source.validUntil}` };
  return undefined;
}

function heldByNobody({ source }: CompiledRule, { lineage }: Snapshot, holders: Holders): Found | undefined {
  const { role, principal } = source;
  if (principal !== undefined) {
    const [type] = principal.split(':');
    const isStored = type === ACCOUNT_TYPE || type === API_KEY_TYPE;
    const isUnknown = isStored && !holders.principals.has(principal.toLowerCase());
    return isUnknown
      ? {
          because: 'held_by_nobody',
          message: `there is no active ${type === API_KEY_TYPE ? 'API key' : 'account'} ${principal}`,
        }
      : undefined;
  }
  if ((builtInRoles as readonly (string | undefined)[]).includes(role)) return undefined;
  const isHeld = [...holders.roles].some((given) => lineage.get(given)?.has(role ?? ''));
  return isHeld
    ? undefined
    : { because: 'held_by_nobody', message: `no active account has the role ${role}` };
}

/** A rule of the other effect, held by all who hold this one, that ranks higher and speaks whenever this one does. */
function shadow(rule: CompiledRule, live: RuleIndex, snapshot: Snapshot): Found | undefined {
  const by = candidates(rule, live, snapshot).find(
    (other) =>
      other.effect !== rule.effect &&
      !other.fields &&
      (other.priority > rule.priority || (other.priority === rule.priority && other.effect === 'deny')) &&
      other.validFromMs <= rule.validFromMs &&
      other.validUntilMs >= rule.validUntilMs &&
      covers(other.actions, rule.actions, ANY_ACTION) &&
      covers(other.subjects, rule.subjects, ANY_TYPE) &&
      bindsHolders(other, rule, snapshot) &&
      // Where a template cannot be filled, a deny matches and an allow does not: they are not alike.
      !(
        other.effect === 'allow' && [...templatesOf(other.condition), ...templatesOf(other.when)].length > 0
      ) &&
      implies(rule.condition, other.condition) &&
      implies(rule.when, other.when),
  );
  return by && { because: 'shadowed', by: by.id, message: `rule ${by.id} always settles it instead` };
}

function covers(wide: readonly string[], narrow: readonly string[], any: string): boolean {
  return wide.includes(any) || narrow.every((name) => wide.includes(name));
}

/** Whether everybody who holds `rule` holds `other` as well. */
function bindsHolders(other: CompiledRule, rule: CompiledRule, { lineage }: Snapshot): boolean {
  const [wide, narrow] = [other.source.role, rule.source.role];
  if (wide === 'everyone') return true;
  if (other.source.principal !== undefined) return other.source.principal === rule.source.principal;
  if (wide === 'authenticated') return narrow !== 'everyone' && narrow !== 'anonymous';
  return wide === narrow || (narrow !== undefined && (lineage.get(narrow)?.has(wide ?? '') ?? false));
}

/** Whether an attribute has one value at most: through a list one test may be met by one element, the next by another. */
type IsSingle = (path: string) => boolean;

function singleIn({ subjects }: CompiledRule, { types }: Snapshot): IsSingle {
  const single = (path: string, name: string) => {
    const spec = name === ANY_TYPE && path === 'id' ? { type: 'string' } : types.get(name)?.attributes[path];
    return spec !== undefined && spec.type !== 'array' && spec.type !== 'object';
  };
  return (path) => subjects.every((name) => single(path, name));
}

/** Plain contradictions only: two values for one attribute, an empty list, a range with nothing in it. */
function isContradiction(condition: Condition, isSingle: IsSingle): boolean {
  switch (condition.kind) {
    case 'fixed':
      return !condition.value;
    case 'any':
      return condition.of.every((part) => isContradiction(part, isSingle));
    case 'test':
      return condition.operator === '$in' && Array.isArray(condition.value) && condition.value.length === 0;
    case 'all':
      return (
        condition.of.some((part) => isContradiction(part, isSingle)) || contradict(condition.of, isSingle)
      );
    default:
      return false;
  }
}

/** Whether tests of one attribute leave no value for it. */
function contradict(parts: readonly Condition[], isSingle: IsSingle): boolean {
  const tests = parts.flatMap((part) => (part.kind === 'test' && isSingle(part.path) ? [part] : []));
  const paths = new Set(tests.map(({ path }) => path));
  return [...paths].some((path) => {
    const values = (...operators: string[]) =>
      tests.flatMap((test) =>
        test.path === path && operators.includes(test.operator) && isScalar(test.value) ? [test.value] : [],
      );
    const equal = values('$eq');
    if (new Set(equal).size > 1) return true;
    const [above, below] = [values('$gt', '$gte'), values('$lt', '$lte')];
    if (values('$exists').includes(false) && equal.length + above.length + below.length > 0) return true;
    return above.some((low) => below.some((high) => typeof low === typeof high && low > high));
  });
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
