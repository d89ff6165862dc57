/** A draft beside what is in force: who gains and who loses what. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '../policy/ability.ts';
import { ANONYMOUS_TYPE, effectiveRoles, makeAbility } from '../policy/ability.ts';
import { partText } from '../policy/compile.ts';
import { diffPolicies } from '../policy/diff.ts';
import { builtInRoles, type ResourceType, type Rule } from '../policy/policy.ts';
import { type Reach, type ReachingRule, reachOf, rulesOfHolder, speaksOf } from '../policy/reach.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { groupKey, relevantPaths } from './principal-groups.ts';

/** What changes for somebody about one action on one type. */
export interface ReachChange {
  resource: string;
  action: string;
  before: Reach;
  after: Reach;
  /** Rules that come or go for them, or say something else than before. */
  rules: string[];
  /** When it begins; absent: at once. */
  from?: string;
}

/** What somebody gains and loses; what becomes different on both sides stands in both. */
export interface Effect {
  gains: ReachChange[];
  losses: ReachChange[];
}

export interface Simulated {
  before: Snapshot;
  after: Snapshot;
  atMs: number;
}

/** Somebody as they are under each side: an attribute that is declared otherwise makes another principal. */
export type PrincipalUnder = (snapshot: Snapshot) => Principal;

const MOST_INSTANTS = 8;
/** So long roles are compared; those that come later are left out. */
const LONGEST_MS = 5000;

/** Compares two snapshots for one principal after another; those that no touched rule concerns are told from afar. */
export function simulation({ before, after, atMs }: Simulated) {
  const touched = touchedParts(before, after);
  const relevant = relevantPaths(before, after);
  const instants = [atMs, ...comingBoundaries(touched, { before, after, atMs })];
  const effects = new Map<string, Effect>();
  const compareAt = (
    rulesUnder: (snapshot: Snapshot, instantMs: number) => readonly ReachingRule[],
  ): Effect => {
    const found = instants.map((instantMs) => {
      const [was, is] = [rulesUnder(before, instantMs), rulesUnder(after, instantMs)];
      return compare(was, is, touched, { before, after, atMs: instantMs });
    });
    return mergeEffects(found, instants);
  };
  return {
    /** Nothing at all is different for anybody. */
    isEmpty: touched.rules.size === 0 && touched.roles.size === 0 && touched.types.size === 0,
    /** What the draft does for a principal; undefined where it concerns nothing that they hold. */
    effectOn: (principalUnder: PrincipalUnder): Effect | undefined => {
      const principal = principalUnder(before);
      if (!concerns(principal, touched, before, after)) return undefined;
      // Whoever has the same roles and the same values where rules look is affected alike.
      const key = groupKey(principal, principalUnder(after), relevant, before, after);
      const known = effects.get(key);
      if (known) return known;
      const effect = compareAt(
        (snapshot, instantMs) => makeAbility(snapshot, principalUnder(snapshot), instantMs).rules,
      );
      effects.set(key, effect);
      return effect;
    },
    /** For each role, what it gives more and less to whoever has it and no other; roles without a change are left out. */
    effectsOnRoles: async (): Promise<({ role: string } & Effect)[]> => {
      const untilMs = performance.now() + LONGEST_MS;
      const effects: ({ role: string } & Effect)[] = [];
      for (const role of new Set([...builtInRoles, ...before.roles.keys(), ...after.roles.keys()])) {
        const effect = compareAt((snapshot, instantMs) => rulesOfHolder(snapshot, role, instantMs));
        if (!isNoEffect(effect)) effects.push({ role, ...effect });
        await nextTurn(); // requests that came meanwhile go first
        if (performance.now() > untilMs) break;
      }
      return effects;
    },
  };
}

/** When touched rules begin or end: what a draft gives from tomorrow on is shown today. */
function comingBoundaries(touched: Touched, { before, after, atMs }: Simulated): number[] {
  const rules = [...touched.rules].flatMap((id) => [before.rules.get(id), after.rules.get(id)]);
  const instants = rules.flatMap((rule) => (rule ? [rule.validFromMs, rule.validUntilMs] : []));
  const coming = instants.filter((instantMs) => Number.isFinite(instantMs) && instantMs > atMs);
  return [...new Set(coming)].sort((a, b) => a - b).slice(0, MOST_INSTANTS);
}

/** Of changes that are there at several instants, the first. */
function mergeEffects(found: readonly Effect[], instants: readonly number[]): Effect {
  const merge = (side: keyof Effect): ReachChange[] => {
    const first = new Map<string, ReachChange>();
    for (const [index, effect] of found.entries())
      for (const change of effect[side]) {
        const key = `${change.resource} ${change.action}`;
        const from = index === 0 ? {} : { from: new Date(instants[index] ?? 0).toISOString() };
        if (!first.has(key)) first.set(key, { ...change, ...from });
      }
    return [...first.values()];
  };
  return { gains: merge('gains'), losses: merge('losses') };
}

export function isNoEffect({ gains, losses }: Effect): boolean {
  return gains.length + losses.length === 0;
}

const widths: Record<Reach, number> = { deny: 0, conditional: 1, allow: 2 };

interface Touched {
  rules: ReadonlySet<string>;
  roles: ReadonlySet<string>;
  /** Types that gained or lost an action. */
  types: ReadonlySet<string>;
  /** Roles and principals that hold a touched rule. */
  holders: ReadonlySet<string>;
}

function touchedParts(before: Snapshot, after: Snapshot): Touched {
  const { rules, roles, resourceTypes } = diffPolicies(before.policy, after.policy);
  const changed = <T>({
    added,
    changed: both,
    removed,
  }: {
    added: T[];
    changed: { before: T; after: T }[];
    removed: T[];
  }) => [...added, ...removed, ...both.flatMap((one) => [one.before, one.after])];
  const touched: Rule[] = changed(rules);
  return {
    rules: new Set(touched.map(({ id }) => id)),
    roles: new Set(changed(roles).map(({ key }) => key)),
    types: new Set(changed<ResourceType>(resourceTypes).map(({ type }) => type)),
    holders: new Set(touched.map(({ role, principal }) => role ?? principal ?? '')),
  };
}

function concerns(principal: Principal, touched: Touched, before: Snapshot, after: Snapshot): boolean {
  if (touched.types.size > 0) return true;
  const holds = (name: string) => touched.holders.has(name) || touched.roles.has(name);
  if (holds('everyone') || holds(principal.type === ANONYMOUS_TYPE ? 'anonymous' : 'authenticated'))
    return true;
  if (holds(`${principal.type}:${principal.id}`)) return true;
  const roles = new Set([
    ...effectiveRoles(before, principal.roles),
    ...effectiveRoles(after, principal.roles),
  ]);
  return [...roles].some(holds);
}

function compare(
  was: readonly ReachingRule[],
  is: readonly ReachingRule[],
  touched: Touched,
  { before, after }: Simulated,
): Effect {
  const effect: Effect = { gains: [], losses: [] };
  for (const [type, actions] of pairsTouched(was, is, touched, before, after)) {
    for (const action of actions) {
      const about = (rules: readonly ReachingRule[]) => rules.filter((rule) => speaksOf(rule, action, type));
      const change = changeIn(about(was), about(is), action, type, before, after);
      if (!change) continue;
      const { direction, ...told } = change;
      if (direction !== 'narrower') effect.gains.push(told);
      if (direction !== 'wider') effect.losses.push(told);
    }
  }
  return effect;
}

/** The types and actions about which rules come or go for them. */
function pairsTouched(
  was: readonly ReachingRule[],
  is: readonly ReachingRule[],
  touched: Touched,
  before: Snapshot,
  after: Snapshot,
): Map<string, string[]> {
  const texts = (rules: readonly ReachingRule[]) => new Set(rules.map(partText));
  const [wasTexts, isTexts] = [texts(was), texts(is)];
  const moved = [
    ...was.filter((rule) => !isTexts.has(partText(rule))),
    ...is.filter((rule) => !wasTexts.has(partText(rule))),
  ];
  const pairs = new Map<string, string[]>();
  for (const type of new Set([...before.types.keys(), ...after.types.keys()])) {
    const actions = new Set([
      ...(before.types.get(type)?.actions ?? []),
      ...(after.types.get(type)?.actions ?? []),
    ]);
    const open = [...actions].filter(
      (action) => touched.types.has(type) || moved.some((rule) => speaksOf(rule, action, type)),
    );
    if (open.length > 0) pairs.set(type, open);
  }
  return pairs;
}

type Direction = 'wider' | 'narrower' | 'different';

function changeIn(
  was: readonly ReachingRule[],
  is: readonly ReachingRule[],
  action: string,
  resource: string,
  before: Snapshot,
  after: Snapshot,
): (ReachChange & { direction: Direction }) | undefined {
  const hadAction = before.types.get(resource)?.actions.includes(action) ?? false;
  const hasAction = after.types.get(resource)?.actions.includes(action) ?? false;
  const from = hadAction ? reachOf(was, action, resource) : 'deny';
  const to = hasAction ? reachOf(is, action, resource) : 'deny';
  const [wasTexts, isTexts] = [new Set(was.map(partText)), new Set(is.map(partText))];
  const gone = was.filter((rule) => !isTexts.has(partText(rule)));
  const come = is.filter((rule) => !wasTexts.has(partText(rule)));
  const rules = [...new Set([...gone, ...come].map(({ id }) => id))].sort();
  // What is allowed without a condition before and after, or never, did not change, whatever stands beside it.
  if (from === to && from !== 'conditional') return undefined;
  if (from === to && rules.length === 0) return undefined;
  const direction = directionOf(from, to, gone, come);
  return { resource, action, before: from, after: to, rules, direction };
}

function directionOf(
  from: Reach,
  to: Reach,
  gone: readonly ReachingRule[],
  come: readonly ReachingRule[],
): Direction {
  if (widths[to] !== widths[from]) return widths[to] > widths[from] ? 'wider' : 'narrower';
  const widens =
    come.some(({ effect }) => effect === 'allow') || gone.some(({ effect }) => effect === 'deny');
  const narrows =
    come.some(({ effect }) => effect === 'deny') || gone.some(({ effect }) => effect === 'allow');
  if (widens && narrows) return 'different';
  return widens ? 'wider' : 'narrower';
}
